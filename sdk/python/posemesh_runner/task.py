"""One task: its parameters, its inputs and outputs, and the line to whoever waits for it."""

import io
import json
from contextlib import contextmanager

from .errors import Cancelled, InvalidInput, InvalidTask
from .files import Artifact, Part, Stored

#: Progress is told in steps of this size, and at each new stage.
STEP = 0.005


class Task:
    """One unit of work that the node has leased from the job server.

    `id`, `job_id`, `domain_id`, `capability`, `inputs_cids`, `outputs_prefix`, `label`, `stage`, `attempts` and
    `max_attempts` are as the job server has them; `params` is its `meta`, read as JSON, and an empty dict without any.
    """

    def __init__(self, given, host):
        for name in (
            "id",
            "job_id",
            "domain_id",
            "capability",
            "inputs_cids",
            "outputs_prefix",
            "label",
            "stage",
            "meta",
            "attempts",
            "max_attempts",
        ):
            setattr(self, name, getattr(given, name))
        self._host = host
        self._told = None
        self.capability_filters = json.loads(given.capability_filters)
        params = json.loads(given.meta)
        self.params = {} if params is None else params

    def param(self, name, default=...):
        """A parameter; without a default a missing one is `InvalidTask`."""
        if not isinstance(self.params, dict):
            raise InvalidTask("the task's meta is no JSON object")
        if name in self.params:
            return self.params[name]
        if default is ...:
            raise InvalidTask(f"the task's meta has no {name!r}")
        return default

    def parts(self):
        """Every part of every input, opened when its turn comes."""
        for cid in self.inputs_cids:
            yield from self.parts_of(cid)

    def parts_of(self, cid):
        """The parts of one CID."""
        for part in self._host.parts(cid):
            yield Part(part)

    def only_part(self):
        """The only part of the only input."""
        if len(self.inputs_cids) != 1:
            raise InvalidTask(f"the task has {len(self.inputs_cids)} inputs; it takes one")
        parts = list(self.parts())
        if len(parts) != 1:
            names = ", ".join(part.name for part in parts)
            raise InvalidInput(f"the input has {len(parts)} parts ({names}); it takes one")
        return parts[0]

    def open(self):
        """The only part of the only input, as a buffered binary stream."""
        return self.only_part().open()

    def create(self, path, *, name=None, data_type=None, existing_id=None, size_hint=None):
        """Starts an artifact at a relative path, whose extension says which kind of data it is. Use it with `with`:

            with task.create("points.ply") as f:
                f.write(b"ply...")
        """
        options = {"name": name, "data_type": data_type, "existing_id": existing_id, "size_hint": size_hint}
        return Artifact(self._host.create(path, options))

    @contextmanager
    def create_text(self, path, encoding="utf-8", **options):
        """The same for text: `with task.create_text("rows.csv") as f: csv.writer(f)...`"""
        with self.create(path, **options) as artifact:
            text = io.TextIOWrapper(artifact, encoding=encoding, newline="")
            try:
                yield text
                text.flush()
            finally:
                text.detach()

    def write(self, path, data, **options):
        """Stores bytes or text that is at hand."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        with self.create(path, size_hint=len(data), **options) as artifact:
            artifact.write(data)
        return artifact.stored

    def write_json(self, path, value, **options):
        """Stores a value as JSON."""
        return self.write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", **options)

    def write_file(self, path, file, *, name=None, data_type=None, existing_id=None):
        """Stores a file of the sandbox directory `/work`, of any size."""
        options = {"name": name, "data_type": data_type, "existing_id": existing_id, "size_hint": None}
        return Stored(self._host.put_file(path, str(file), options))

    def progress(self, fraction, stage):
        """Says how far the task is, from 0 to 1. It tells the node when that has changed enough, and asks whether to stop:
        then it raises `Cancelled`."""
        fraction = min(max(float(fraction), 0.0), 1.0)
        told = self._told
        if told is None or told[1] != stage or abs(fraction - told[0]) >= STEP or fraction == 1.0 != told[0]:
            self._told = (fraction, stage)
            self._host.progress(json.dumps({"progress": fraction, "stage": stage}))
        self.check_cancelled()

    def check_cancelled(self):
        """Raises `Cancelled` when the task is being stopped."""
        if self._host.is_cancelled():
            raise Cancelled()

    def sleep(self, seconds):
        """Waits, at most until the task is being stopped: then it raises `Cancelled`."""
        if self._host.wait_cancelled(int(seconds * 1000)):
            raise Cancelled()

    def event(self, event):
        """Adds an event to the task's record at the job server; False when it was not taken."""
        return self._host.log_event(json.dumps(event))

    def log(self, message, level="info"):
        """Writes a line to the node's log: `debug`, `info`, `warn` or `error`."""
        self._host.log(level, str(message))

    def budget(self):
        """What this task may use: `memory_bytes`, `scratch_bytes`, `output_bytes_left`, `time_left_ms`."""
        return self._host.budget()
