"""Write capability runners for posemesh nodes in Python.

    from posemesh_runner import Entry, runner

    @runner("/example/lines/v1", name="lines", version="0.1.0", memory_mib=64)
    def run(task):
        '''Counts the lines of its inputs.'''
        lines = sum(1 for part in task.parts() for _ in part.open())
        task.write_json("lines.json", {"lines": lines})

`Entry` is what the component exports, so the module that is built must have it. Import everything at the top of a
module: the modules are loaded when the component is built, and the disk is gone when it runs.

Off a component the node is in memory: see `posemesh_runner.testing`.
"""

from .entry import Entry, runner
from .errors import (
    Cancelled,
    Corrupt,
    Denied,
    Failed,
    InvalidCall,
    InvalidInput,
    InvalidTask,
    Limit,
    NotFound,
    PortError,
    PortFailed,
    Unavailable,
)
from .files import Artifact, Part, Stored
from .task import Task

#: The version of the contract that runners are built against with this package.
WIT_VERSION = "0.2.0"

__all__ = [
    "Artifact",
    "Cancelled",
    "Corrupt",
    "Denied",
    "Entry",
    "Failed",
    "InvalidCall",
    "InvalidInput",
    "InvalidTask",
    "Limit",
    "NotFound",
    "Part",
    "PortError",
    "PortFailed",
    "Stored",
    "Task",
    "Unavailable",
    "WIT_VERSION",
    "runner",
]
