"""Summarises the columns of a CSV file, and draws their distributions."""

import columns
import plot
from params import SCHEMA, Params
from posemesh_runner import Entry, InvalidInput, runner  # noqa: F401  `Entry` is what the component exports.
from table import BadRow, Table

#: The widest table: a column takes up to half a megabyte, whatever the number of rows.
MAX_COLUMNS = 256
#: Broken rows that are told one by one.
TOLD = 10
#: Rows between two reports of progress, which also ask whether to stop.
STEP = 1000


@runner(
    "/posemesh/table-report/v1",
    name="table-report",
    version="0.1.0",
    memory_mib=256,
    meta_schema=SCHEMA,
    license="MIT OR Apache-2.0",
)
def run(task):
    """Summarises the columns of a CSV file, and draws their distributions."""
    params = Params(task)
    part = task.only_part()
    table = Table(part, params, task.check_cancelled)
    report = Report(part.name, table, params)
    report.read(task, part)
    task.progress(1.0, "writing")
    task.write_json("report.json", report.summary())
    with task.create_text("distributions.svg") as file:
        for piece in plot.svg(report.columns, f"{part.name}: {report.rows} rows"):
            file.write(piece)


class Report:
    """What is said of a table."""

    def __init__(self, name, table, params):
        self._name, self._table, self._params = name, table, params
        self.rows = 0
        self._bad, self._bad_rows = 0, []
        self._waiting = None
        names = self._names()
        self._width = len(names)
        #: Each column with its place in a row.
        self._places = self._chosen(names)
        self.columns = [column for _, column in self._places]

    def _names(self):
        try:
            first = next(self._table, None)
        except BadRow as error:
            raise InvalidInput(f"line {self._table.line} of {self._name}: {error}") from None
        if first is None:
            raise InvalidInput(f"{self._name} is empty: it has neither a header nor rows")
        if len(first) > MAX_COLUMNS:
            raise InvalidInput(f"line {self._table.line} of {self._name} has {len(first)} columns; at most {MAX_COLUMNS} are read")
        if self._params.header:
            names = [name.strip() or f"column_{number}" for number, name in enumerate(first, 1)]
        else:
            self._waiting = first
            names = [f"column_{number}" for number in range(1, len(first) + 1)]
        return _unique(names)

    def _chosen(self, names):
        chosen = self._params.columns
        if chosen is None:
            chosen = names
        for name in chosen:
            if name not in names:
                raise InvalidInput(f"line {self._table.line} of {self._name}: there is no column {name!r}, but {_some(names)}")
        return [(names.index(name), columns.Column(name, self._params.decimal)) for name in chosen]

    def read(self, task, part):
        """Reads all rows. Broken ones are counted, or the end of it."""
        count = 0
        while True:
            if count % STEP == 0:
                # Raises `Cancelled` when the task is.
                task.progress(part.done, "reading")
            count += 1
            try:
                row = self._next()
                if row is None:
                    break
                self._add(row)
            except BadRow as error:
                self._is_bad(error)
        if self.rows == 0:
            if self._bad == 0:
                raise InvalidInput(f"{self._name} has a header and no rows")
            raise InvalidInput(f"{self._name}: none of its {self._bad} rows can be read; {self._first_bad()}")
        if self._bad > self.rows:
            raise InvalidInput(
                f"{self._name}: {self._bad} of {self._bad + self.rows} rows can't be read, with {self._table.delimiter!r} as "
                f"the delimiter; {self._first_bad()}"
            )

    def _next(self):
        if self._waiting is not None:
            row, self._waiting = self._waiting, None
            return row
        return next(self._table, None)

    def _add(self, row):
        if len(row) != self._width:
            raise BadRow(f"it has {len(row)} fields, and the header {self._width}")
        self.rows += 1
        line = self._table.line
        for place, column in self._places:
            column.add(row[place], line)

    def _is_bad(self, error):
        if self._params.bad_rows == "fail":
            raise InvalidInput(f"line {self._table.line} of {self._name}: {error}") from None
        self._bad += 1
        if len(self._bad_rows) < TOLD:
            self._bad_rows.append({"line": self._table.line, "problem": str(error)})

    def _first_bad(self):
        first = self._bad_rows[0]
        return f"the first is in line {first['line']}: {first['problem']}"

    def summary(self):
        """The report, as JSON has it."""
        notes = [
            f"{column.name}: {column.commas} values are numbers if the task says \"decimal\": \",\""
            for column in self.columns
            if column.commas
        ]
        return {
            "rows": self.rows,
            "bad_rows": self._bad,
            "first_bad_rows": self._bad_rows,
            "encoding": self._table.encoding,
            "delimiter": self._table.delimiter,
            "is_packed": self._table.is_packed,
            "notes": notes,
            "columns": [column.summary() for column in self.columns],
        }


def _unique(names):
    """The names, with a number behind those that were there before."""
    seen, unique = set(), []
    for name in names:
        number, candidate = 2, name
        while candidate in seen:
            candidate, number = f"{name}_{number}", number + 1
        seen.add(candidate)
        unique.append(candidate)
    return unique


def _some(names):
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(repr(name[: columns.SHOWN]) for name in names[:20]) + more
