"""Summarises a column of numbers in a CSV file."""

# At the top, all of it: modules are loaded when the component is built, and can't be when it runs.
import csv
import math

from posemesh_runner import Entry, InvalidInput, runner  # noqa: F401  `Entry` is what the component exports.


@runner("/example/my-runner/v1", name="my-runner", version="0.1.0", memory_mib=64)
def run(task):
    """Summarises a column of numbers in a CSV file."""
    column = task.param("column")
    part = task.only_part()
    rows = csv.reader(part.open_text(newline=""))
    header = next(rows, [])
    if column not in header:
        raise InvalidInput(f"line 1: there is no column {column!r}, but {header}")
    index = header.index(column)

    count, least, greatest, mean = 0, math.inf, -math.inf, 0.0
    for row in rows:
        try:
            value = float(row[index])
        except (ValueError, IndexError):
            raise InvalidInput(f"line {rows.line_num}: {row} has no number in {column}") from None
        count += 1
        least, greatest = min(least, value), max(greatest, value)
        mean += (value - mean) / count
        if count % 1000 == 0:
            # Raises `Cancelled` when the task is.
            task.progress(part.done, "reading")
    if count == 0:
        raise InvalidInput("there is no line after the header")
    task.write_json("summary.json", {"rows": count, "min": least, "max": greatest, "mean": mean})
