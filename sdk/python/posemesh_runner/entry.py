"""What the component exports, and the decorator that says what it does."""

import os
import sys
import traceback

from .errors import CASES, Cancelled, Failed, PortError
from .host import Host
from .task import Task

_MIB = 1 << 20
#: This folder, whose frames say nothing to an author.
_HERE = os.path.dirname(__file__)

#: The runner of this component.
_registered = None


def _mib(mib):
    return None if mib is None else int(mib * _MIB)


def _ms(seconds):
    return None if seconds is None else int(seconds * 1000)


def runner(
    *capabilities,
    name,
    version,
    summary=None,
    memory_mib=None,
    deadline_secs=None,
    cpu_time_secs=None,
    scratch_mib=None,
    output_mib=None,
    artifacts=None,
    network_hosts=(),
    environment=(),
    directories=(),
    meta_schema=None,
    homepage=None,
    license=None,
):
    """Makes the runner of a function of a task. What is not asked for is the node's default; the operator decides. Without a
    `summary` it is the first line of the function's documentation."""

    def register(run):
        global _registered
        doc = (run.__doc__ or "").strip().splitlines()
        said = summary or (doc[0] if doc else "")
        if not capabilities or not said:
            raise ValueError("a runner has one capability at least, and a summary or a docstring")
        if _registered is not None and _registered[0] is not run:
            raise ValueError("a component has one runner; give it several capabilities instead")
        about = {
            "name": name,
            "version": version,
            "summary": said,
            "capabilities": list(capabilities),
            "meta_schema": meta_schema,
            "homepage": homepage,
            "license": license,
        }
        requests = {
            "memory_bytes": _mib(memory_mib),
            "deadline_ms": _ms(deadline_secs),
            "cpu_time_ms": _ms(cpu_time_secs),
            "scratch_bytes": _mib(scratch_mib),
            "output_bytes": _mib(output_mib),
            "artifacts": artifacts,
            "network_hosts": list(network_hosts),
            "environment": list(environment),
            "directories": list(directories),
        }
        _registered = (run, about, requests)
        return run

    return register


def _where(error):
    """The last place of the author's own, as `(app.py:12 in run)`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
    if not frames:
        return ""
    frame = frames[-1]
    return f" ({os.path.basename(frame.filename)}:{frame.lineno} in {frame.name})"


def case_of(error):
    """The case of the contract's `error` that an exception is, and its text."""
    for case, kind in CASES.items():
        if type(error) is kind:
            return case, str(error)
    # A subclass of an author's own counts as what it is derived from.
    for case, kind in CASES.items():
        if isinstance(error, kind) and kind is not Failed:
            return case, str(error)
    # An error of the node that was met on the way and not handled is the cause.
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, (PortError, Cancelled)) and not isinstance(error, Failed):
            return case_of(cause)
        cause = cause.__cause__ or cause.__context__
    text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
    return "Failed", text + _where(error)


def told(error, host):
    """The case and the text of the error that a runner ended with, as the node hears them."""
    if not isinstance(error, MemoryError):
        return case_of(error)
    # The interpreter's words name no limit, and nobody who could set it.
    mib = host.budget().memory_bytes // _MIB
    return "Failed", (
        f"out of memory: the runner reached its limit `memory_bytes` of {mib} MiB; its author asks for more by `memory_mib` of "
        "`@runner`, the operator sets it in NAME.toml, [limits]"
    )


def run_registered(given, host):
    """Runs the registered runner; the case and the text of its error, or None."""
    if _registered is None:
        return "Failed", "no function was made a runner: see posemesh_runner.runner"
    try:
        _registered[0](Task(given, host))
    except (Exception, Cancelled) as error:
        case, text = told(error, host)
        if case == "Failed":
            # The node keeps the last lines of it.
            traceback.print_exception(error, file=sys.stderr)
        return case, text
    return None


try:
    from componentize_py_types import Err
    from wit_world import exports
    from wit_world.imports import types
except ImportError:

    class Entry:
        """What a component exports; there is none here."""

else:

    class Entry(exports.Entry):
        """What the component exports."""

        def describe(self):
            if _registered is None:
                raise RuntimeError("no function was made a runner: see posemesh_runner.runner")
            _, about, requests = _registered
            return types.Description(requests=types.Requests(**requests), **about)

        def run(self, task):
            failed = run_registered(task, Host())
            if failed is not None:
                case, text = failed
                kind = getattr(types, f"Error_{case}")
                raise Err(kind() if case == "Cancelled" else kind(text))
