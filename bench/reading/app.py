"""Reads its input."""

from posemesh_runner import Entry, runner  # noqa: F401  `Entry` is what the component exports.


@runner("/example/reading/v1", name="reading", version="0.1.0", memory_mib=64)
def run(task):
    """Reads its input."""
    count = 0
    for chunk in task.only_part().chunks():
        count += len(chunk)
    task.write_json("bytes.json", {"bytes": count})
