"""The ports of the node, as the contract has them, with exceptions of ours."""

from contextlib import contextmanager

from componentize_py_types import Err
from wit_world.imports import control, inputs, outputs

from .errors import CASES, Cancelled, PortFailed

#: Bytes of one call at most.
MAX_CHUNK = 8 << 20


@contextmanager
def _ours():
    """Makes an error of a port one of our exceptions."""
    try:
        yield
    except Err as error:
        value = error.value
        case = CASES.get(type(value).__name__.removeprefix("Error_"), PortFailed)
        if case is Cancelled:
            raise Cancelled() from None
        raise case(getattr(value, "value", str(value))) from None


class HostPart:
    """A part."""

    def __init__(self, part):
        self._part = part
        self.info = part.info()

    def read(self, max_bytes):
        with _ours():
            return self._part.read(min(max_bytes, MAX_CHUNK))

    def read_at(self, offset, max_bytes):
        with _ours():
            return self._part.read_at(offset, min(max_bytes, MAX_CHUNK))

    def materialise(self):
        with _ours():
            return self._part.materialise()

    def drop(self):
        self._part.__exit__(None, None, None)


class HostArtifact:
    """An artifact that is being written."""

    def __init__(self, artifact):
        self._artifact = artifact

    def write(self, data):
        with _ours():
            self._artifact.write(data)

    def finish(self):
        with _ours():
            return self._artifact.finish()

    def drop(self):
        self._artifact.__exit__(None, None, None)


class Host:
    """The node that runs this component."""

    def parts(self, cid):
        with _ours():
            source = inputs.open(cid)
        with source:
            while True:
                with _ours():
                    part = source.next_part()
                if part is None:
                    return
                yield HostPart(part)

    def create(self, path, options):
        with _ours():
            return HostArtifact(outputs.create(path, outputs.ArtifactOptions(**options)))

    def put_file(self, path, file, options):
        with _ours():
            return outputs.put_file(path, file, outputs.ArtifactOptions(**options))

    def progress(self, json):
        """What is not taken is no reason to fail."""
        try:
            control.progress(json)
        except Err:
            pass

    def log_event(self, json):
        try:
            control.log_event(json)
        except Err:
            return False
        return True

    def log(self, level, message):
        control.log(getattr(control.LogLevel, level.upper()), message)

    def is_cancelled(self):
        return control.is_cancelled()

    def wait_cancelled(self, timeout_ms):
        return control.wait_cancelled(timeout_ms)

    def budget(self):
        return control.get_budget()
