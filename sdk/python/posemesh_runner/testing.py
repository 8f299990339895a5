"""Tests of runners, without a component, a node or a network.

    from posemesh_runner.testing import run
    import app

    outcome = run(app.run, inputs={"a.txt": "one\\ntwo\\n"})
    assert outcome.error is None
    assert outcome.json("lines.json") == {"lines": 2}
"""

import json

from types import SimpleNamespace

from .entry import told
from .errors import Cancelled
from .memory import Host
from .task import Task


class Outcome:
    """How a run ended: `error` (the exception, or None), `case` and `reason` as the node hears them, `artifacts` (path to
    bytes), `unfinished` paths, `progress`, `events` and `log`."""

    def __init__(self, error, host):
        self.error = error
        self.case, self.reason = (None, None) if error is None else told(error, host)
        self.artifacts, self.unfinished = host.artifacts, host.unfinished
        self.progress, self.events, self.log = host.told, host.events, host.lines

    def json(self, path):
        """An artifact, read as JSON."""
        return json.loads(self.artifacts[path])


def _bytes(data):
    return data.encode() if isinstance(data, str) else bytes(data)


def run(runner, inputs=None, meta=None, *, capability="", cancel_at=None, fail=None):
    """Runs a runner's function. `inputs` is a dict of CID to text or bytes, or to a dict of the names and bytes of several
    parts. `fail` is a dict of CID to the exception that reading it ends with; `cancel_at` cancels the task once so much
    progress was told."""
    parts = {}
    for cid, data in (inputs or {}).items():
        of = data if isinstance(data, dict) else {cid: data}
        parts[cid] = [(name, _bytes(part)) for name, part in of.items()]
    host = Host(parts, fail, cancel_at)
    given = SimpleNamespace(
        id="00000000-0000-0000-0000-000000000000",
        job_id=None,
        domain_id=None,
        capability=capability,
        capability_filters="null",
        inputs_cids=list(parts),
        outputs_prefix=None,
        label=None,
        stage=None,
        meta=json.dumps(meta),
        attempts=None,
        max_attempts=None,
    )
    try:
        runner(Task(given, host))
    except (Exception, Cancelled) as error:
        return Outcome(error, host)
    return Outcome(None, host)
