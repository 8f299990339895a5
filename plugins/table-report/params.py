"""The parameters of a task."""

import codecs

from posemesh_runner import InvalidTask

#: What a delimiter may be, in the order in which they are preferred.
DELIMITERS = (",", ";", "\t", "|")
#: The encodings that can be asked for, and `auto`: UTF-8, or what a byte order mark says.
ENCODINGS = ("auto", "utf-8", "utf-16-le", "utf-16-be", "windows-1252", "iso-8859-1", "iso-8859-15")

# Now, while the component is built: the module of an encoding is loaded when it is first asked for, and can't be any more then.
for _encoding in ENCODINGS[1:]:
    codecs.lookup(_encoding)

SCHEMA = """{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "columns": {
      "description": "Only these columns, in this order; all without it",
      "type": "array", "items": {"type": "string"}, "minItems": 1
    },
    "delimiter": {"enum": ["auto", ",", ";", "\\t", "|"], "default": "auto"},
    "decimal": {"description": "What parts the decimals of a number", "enum": [".", ","], "default": "."},
    "encoding": {
      "enum": ["auto", "utf-8", "utf-16-le", "utf-16-be", "windows-1252", "iso-8859-1", "iso-8859-15"],
      "default": "auto"
    },
    "header": {"description": "Whether the first line has the names of the columns", "type": "boolean", "default": true},
    "bad_rows": {
      "description": "Whether a broken row is counted and left out, or the end of the task",
      "enum": ["skip", "fail"], "default": "skip"
    }
  }
}"""


class Params:
    """What a task asks for; anything else in its meta is a mistake of the submitter."""

    def __init__(self, task):
        self.columns = _columns(task)
        self.delimiter = _one_of(task, "delimiter", ("auto", *DELIMITERS))
        self.decimal = _one_of(task, "decimal", (".", ","))
        self.encoding = _one_of(task, "encoding", ENCODINGS)
        self.bad_rows = _one_of(task, "bad_rows", ("skip", "fail"))
        self.header = task.param("header", True)
        if not isinstance(self.header, bool):
            raise InvalidTask(f"header is {self.header!r}; it can be true or false")
        if self.decimal == "," == self.delimiter:
            raise InvalidTask("delimiter and decimal are both ','")
        known = sorted(vars(self))
        for name in task.params:
            if name not in known:
                raise InvalidTask(f"the task's meta has {name!r}, which means nothing here; it can have {', '.join(known)}")


def _one_of(task, name, values):
    value = task.param(name, values[0])
    if value not in values:
        raise InvalidTask(f"{name} is {value!r}; it can be {', '.join(map(repr, values))}")
    return value


def _columns(task):
    columns = task.param("columns", None)
    if columns is None:
        return None
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        raise InvalidTask(f"columns is {columns!r}; it can be a list of names")
    return columns
