"""Reads a table of text as a stream: whatever the encoding, the line ends and the delimiter, and whether or not it is packed."""

import codecs
import csv
import gzip
import io
import zlib

from params import DELIMITERS
from posemesh_runner import InvalidInput

#: Bytes that are decoded at a time.
CHUNK = 1 << 16
#: The longest line, in characters. A file without line ends is no table, and would fill the memory.
MAX_LINE = 4 << 20
#: How many lines before the first that says something may have nothing but spaces. They are held, since they may be rows.
MAX_BLANK = 100_000
#: The most characters of them that are held.
MAX_HELD = 8 << 20
#: The longest field. A quotation mark that is never closed takes in the rest of the file otherwise.
MAX_FIELD = 1 << 17

csv.field_size_limit(MAX_FIELD)

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
#: How files begin that people take for tables.
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive, as Excel's workbooks are: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel: save the sheet as CSV"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3\x00", "an SQLite database"),
)


class BadRow(Exception):
    """A row that can't be read; the text says why."""


class Table:
    """The rows of a part. `line` is the line in which the current row begins. `check` is called now and then while it is read, and
    may raise: not only between rows, since what is packed may be nothing but blank lines."""

    def __init__(self, part, params, check=lambda: None):
        self._part = part
        self.is_packed = False
        stream = self._unpacked(part.open())
        head = stream.peek(CHUNK)[:CHUNK]
        for start, what in _OTHERS:
            if head.startswith(start):
                raise InvalidInput(f"{part.name} is {what}")
        self.encoding, mark = self._encoding(head, params.encoding)
        stream.read(mark)
        self._lines = _Lines(stream, self.encoding, part.name, check)
        self.delimiter = self._delimiter(params.delimiter)
        self._rows = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        self.line = 0

    def _unpacked(self, stream):
        if not stream.peek(2).startswith(b"\x1f\x8b"):
            return stream
        self.is_packed = True
        return io.BufferedReader(_Unpacked(stream, self._part.name), CHUNK)

    def _encoding(self, head, wanted):
        """The encoding, and how many bytes say so."""
        for mark, encoding in _MARKS:
            # Whoever has named an encoding is believed, and the mark of that encoding is no text.
            if head.startswith(mark) and wanted in ("auto", encoding):
                return encoding, len(mark)
        if wanted != "auto":
            return wanted, 0
        if b"\0" in head[:512]:
            raise InvalidInput(
                f"{self._part.name} has NUL bytes at its beginning: it is no text, or UTF-16 without a byte order mark; "
                "the task can say \"encoding\": \"utf-16-le\""
            )
        return "utf-8", 0

    def _delimiter(self, wanted):
        """What parts the fields of the first line that is not blank, outside of quotation marks."""
        if wanted != "auto":
            return wanted
        outside = "".join(self._lines.first().split('"')[::2])
        return max(DELIMITERS, key=outside.count)

    def __iter__(self):
        return self

    def __next__(self):
        """The next row that is not blank. Raises `BadRow` for one that can't be read; the next one can be read still."""
        while True:
            self.line = self._lines.number + 1
            try:
                row = next(self._rows)
            except csv.Error as error:
                raise BadRow(_problem(str(error))) from None
            if row:
                return row


def _problem(error):
    if error.startswith("field larger"):
        return f"a field has more than {MAX_FIELD} characters: a quotation mark may not be closed"
    if error.startswith("unexpected end"):
        return "a quotation mark is not closed at the end of the file"
    if "expected after" in error:
        return "a closing quotation mark is followed by neither a delimiter nor the end of the line"
    return error


class _Unpacked(io.RawIOBase):
    """What gzip has packed."""

    def __init__(self, stream, name):
        self._file = gzip.GzipFile(fileobj=stream)
        self._name = name

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            data = self._file.read(len(buffer))
        except EOFError:
            raise InvalidInput(f"{self._name} is cut off: its gzip stream has no end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InvalidInput(f"{self._name} is damaged: gzip says {error}") from None
        buffer[: len(data)] = data
        return len(data)


class _Lines:
    """Lines of text, each with its end, for `csv`."""

    def __init__(self, stream, encoding, name, check):
        self._stream, self._name, self._check = stream, name, check
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._encoding = encoding
        self._ready = []
        self._rest = ""
        self._ended = False
        #: How many lines were given out.
        self.number = 0

    def first(self):
        """The first line that is not blank, which is given out later all the same."""
        while True:
            # Empty ones are no rows, and a file may begin with any number of them.
            while self._ready and self._ready[-1] == "\n":
                self._ready.pop()
                self.number += 1
            for line in reversed(self._ready):
                if line.strip():
                    return line
            if len(self._ready) > MAX_BLANK or sum(map(len, self._ready)) > MAX_HELD:
                raise InvalidInput(
                    f"{self._name} begins with more than {MAX_BLANK} blank lines, or {MAX_HELD} blank characters: "
                    "this is no table"
                )
            if not self._read():
                return ""

    def __iter__(self):
        return self

    def __next__(self):
        while not self._ready:
            if not self._read():
                raise StopIteration
        self.number += 1
        return self._ready.pop()

    def _read(self):
        """Reads more lines; False at the end."""
        if self._ended:
            return False
        self._check()
        data = self._stream.read(CHUNK)
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise InvalidInput(self._no_text(error)) from None
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            line = self.number + len(self._ready) + len(lines) + 1
            raise InvalidInput(f"line {line} of {self._name} has more than {MAX_LINE} characters: this is no table")
        if self._ended and self._rest:
            lines.append(self._rest)
            self._rest = ""
        # From the last to the first: they are taken from the end.
        self._ready = [line + "\n" for line in reversed(lines)] + self._ready
        return True

    def _no_text(self, error):
        before = error.object[: error.start].decode(self._encoding, "replace")
        line = self.number + len(self._ready) + (self._rest + before).count("\n") + 1
        wrong = error.object[error.start : error.start + 1]
        if self._ended:
            return f"line {line} of {self._name}: the file ends in the middle of a character of {self._encoding}"
        return (
            f"line {line} of {self._name}: byte 0x{wrong.hex()} is no {self._encoding}; "
            "the task can name another encoding, for example \"encoding\": \"windows-1252\""
        )
