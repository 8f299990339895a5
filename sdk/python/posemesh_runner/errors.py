"""The errors of a task. The class says whose fault it was, the text becomes the reason in the job server's record."""


class Failed(Exception):
    """The runner failed. Any other exception that leaves a runner counts as this one, with its file and line."""


class InvalidTask(Failed):
    """The task as submitted can't be done: a parameter is missing or out of range, too few inputs."""


class InvalidInput(Failed):
    """An input is broken or of a kind that the runner does not read. Say where: a line, a byte."""


class Cancelled(BaseException):
    """The task is being stopped: let it pass. Not an `Exception`, so that `except Exception` does not hold it up."""

    def __init__(self, text="the task was cancelled"):
        super().__init__(text)


class PortError(OSError):
    """The node could not do what was asked. A runner that does not handle it fails with it, whole."""


class NotFound(PortError):
    """There is no such input, part or file."""


class InvalidCall(PortError):
    """A call of the node is wrong: a malformed CID or path, a forbidden name. The same call fails again."""


class Denied(PortError):
    """The domain server or the node does not allow it."""


class Limit(PortError):
    """A budget of this runner is used up; the text names it."""


class Corrupt(PortError):
    """The bytes that came are not what was announced."""


class Unavailable(PortError):
    """The domain server could not be reached or kept failing; the node has retried before saying so."""


class PortFailed(PortError):
    """The node could not do it for another reason."""


#: The class of each case of the contract's `error`.
CASES = {
    "InvalidTask": InvalidTask,
    "InvalidInput": InvalidInput,
    "Failed": Failed,
    "NotFound": NotFound,
    "InvalidCall": InvalidCall,
    "Denied": Denied,
    "Limit": Limit,
    "Corrupt": Corrupt,
    "Unavailable": Unavailable,
    "Cancelled": Cancelled,
    "PortFailed": PortFailed,
}
