"""A node in memory, for tests of runners without a component."""

import os
import tempfile
from json import loads
from types import SimpleNamespace

from .errors import InvalidCall, NotFound


class HostPart:
    """A part."""

    def __init__(self, host, name, data, failure):
        data_type = name.rsplit(".", 1)[1] if "." in name else ""
        self.info = SimpleNamespace(
            data_id="", name=name, data_type=data_type, size=len(data), domain_id="", created_at=None, updated_at=None
        )
        self._host = host
        self._data = data
        self._failure = failure
        self._at = 0

    def read(self, max_bytes):
        # One that is to fail fails before its last byte.
        end = len(self._data) - (self._failure is not None)
        data = self._data[self._at : min(self._at + max_bytes, max(end, 0))]
        if not data and self._failure is not None:
            raise self._failure
        self._at += len(data)
        return data

    def read_at(self, offset, max_bytes):
        return self._data[offset : offset + max_bytes]

    def materialise(self):
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in self.info.name)
        path = os.path.join(self._host.folder(), name)
        with open(path, "wb") as file:
            file.write(self._data)
        return path

    def drop(self):
        pass


class HostArtifact:
    """An artifact that is being written."""

    def __init__(self, host, path, options):
        self._host, self._path, self._options = host, path, options
        self._data = bytearray()
        self._finished = False

    def write(self, data):
        self._data += data

    def finish(self):
        self._finished = True
        self._host.artifacts[self._path] = bytes(self._data)
        extension = self._path.rsplit("/")[-1].rpartition(".")[2]
        return SimpleNamespace(
            logical_path=self._path,
            name=self._options["name"] or self._path,
            data_type=self._options["data_type"] or extension,
            id=self._options["existing_id"],
            size=len(self._data),
        )

    def drop(self):
        if not self._finished:
            self._host.unfinished.append(self._path)


class Host:
    """What the node has and has been told."""

    def __init__(self, inputs=None, failures=None, cancel_at=None):
        self.inputs = inputs or {}
        self.failures = failures or {}
        self.cancel_at = cancel_at
        self.artifacts, self.unfinished = {}, []
        self.told, self.events, self.lines = [], [], []
        self._cancelled = False
        self._folder = None

    def folder(self):
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="posemesh-runner-")
        return self._folder.name

    def parts(self, cid):
        if cid not in self.inputs:
            raise NotFound(f"there is no input {cid}")
        for name, data in self.inputs[cid]:
            yield HostPart(self, name, data, self.failures.get(cid))

    def create(self, path, options):
        if any(name in ("", ".", "..") for name in path.split("/")):
            raise InvalidCall(f"the path {path!r} of an artifact: it is relative, with names between its slashes")
        return HostArtifact(self, path, options)

    def put_file(self, path, file, options):
        try:
            with open(file, "rb") as source:
                data = source.read()
        except OSError as error:
            raise NotFound(f"the file {file}: {error}") from None
        artifact = self.create(path, options)
        artifact.write(data)
        return artifact.finish()

    def progress(self, json):
        self.told.append(loads(json))
        if self.cancel_at is not None and self.told[-1]["progress"] >= self.cancel_at:
            self._cancelled = True

    def log_event(self, json):
        self.events.append(json)
        return True

    def log(self, level, message):
        self.lines.append((level, message))

    def is_cancelled(self):
        return self._cancelled

    def wait_cancelled(self, timeout_ms):
        """Does not wait: a test of a runner that sleeps need not take as long."""
        return self._cancelled

    def budget(self):
        return SimpleNamespace(
            memory_bytes=512 << 20, scratch_bytes=4 << 30, output_bytes_left=16 << 30, time_left_ms=600_000
        )
