"""Inputs and artifacts as Python's files."""

import io

from .errors import InvalidCall

#: Bytes that are read or written in one call of the node.
CHUNK = 1 << 20


class _Raw(io.RawIOBase):
    """A part as a raw stream."""

    def __init__(self, host, count):
        self._host = host
        self._count = count

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._host.read(len(buffer))
        buffer[: len(data)] = data
        self._count(len(data))
        return len(data)


class Part:
    """One blob of an input. `info` says what the domain server knows of it: `name`, `data_type`, `size`, `data_id`..."""

    def __init__(self, host):
        self._host = host
        self._read = 0
        self.info = host.info

    @property
    def name(self):
        """Its name, as it was uploaded. Not a path: it can hold any character."""
        return self.info.name

    @property
    def size(self):
        """How many bytes it has."""
        return self.info.size

    @property
    def done(self):
        """How much of it the stream has read, from 0 to 1."""
        return self._read / self.size if self.size else 1.0

    def _count(self, size):
        self._read += size

    def open(self):
        """The part as a buffered binary stream, of which nothing is kept. One that breaks off raises `Corrupt` or
        `Unavailable`, and is never a shorter stream."""
        return io.BufferedReader(_Raw(self._host, self._count), CHUNK)

    def chunks(self):
        """Its bytes, as the node gives them: up to 1 MiB each. Nothing is copied or kept; the fastest way through a large part."""
        while data := self._host.read(CHUNK):
            self._count(len(data))
            yield data

    def open_text(self, encoding="utf-8", **options):
        """The same as text."""
        return io.TextIOWrapper(self.open(), encoding=encoding, **options)

    def read_at(self, offset, max_bytes):
        """Up to `max_bytes` bytes from `offset`. Keeps the part in the sandbox directory."""
        return self._host.read_at(offset, max_bytes)

    def to_file(self):
        """The path of the part as a read-only file, for libraries that want one. It counts against the scratch budget."""
        return self._host.materialise()


class Stored:
    """What was stored: `logical_path`, `name`, `data_type`, `id` (or None) and `size`."""

    def __init__(self, stored):
        self.logical_path = stored.logical_path
        self.name = stored.name
        self.data_type = stored.data_type
        self.id = stored.id
        self.size = stored.size

    def __repr__(self):
        return f"Stored({self.logical_path!r}, {self.size} bytes)"


class Artifact(io.BufferedIOBase):
    """An artifact that is being written. It is stored when its `with` block ends without an exception, or by `finish`; in
    any other case nothing is stored."""

    def __init__(self, host):
        self._host = host
        self._chunk = bytearray()
        self.stored = None

    def writable(self):
        return True

    def write(self, data):
        if self._host is None:
            raise InvalidCall("the artifact was finished or dropped")
        data = memoryview(data).cast("B")
        self._chunk += data
        while len(self._chunk) >= CHUNK:
            self._host.write(bytes(self._chunk[:CHUNK]))
            del self._chunk[:CHUNK]
        return len(data)

    def finish(self):
        """Stores it; says what was stored."""
        if self._host is None:
            raise InvalidCall("the artifact was finished or dropped")
        host, self._host = self._host, None
        if self._chunk:
            host.write(bytes(self._chunk))
            self._chunk.clear()
        self.stored = Stored(host.finish())
        host.drop()
        return self.stored

    def close(self):
        if self._host is not None:
            host, self._host = self._host, None
            host.drop()
        super().close()

    def __exit__(self, kind, value, traceback):
        if kind is None and self._host is not None:
            self.finish()
        self.close()
