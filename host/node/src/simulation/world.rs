//! What all parts of one run share: the servers, the state of the network, what each node knows, and what was seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::simulation::dds::Dds;
use crate::simulation::dms::Dms;
use crate::simulation::draw::Draw;
use crate::simulation::incarnation::Incarnation;
use crate::simulation::invariant::{Invariant, Violation};
use crate::simulation::journal::SimulatedJournal;
use crate::simulation::plan::Plan;
use crate::simulation::planted::Planted;
use crate::simulation::tally::Tally;
use crate::simulation::trace::Trace;
use crate::simulation::trouble::Troubles;

/// Violations that are kept: what follows from the first ones is of no use.
const KEPT_VIOLATIONS: usize = 5;

/// One run. Shared by everything in it.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) planted: Option<Planted>,
    began: Instant,
    state: Mutex<State>,
}

/// What changes during a run.
pub(super) struct State {
    pub(super) dms: Dms,
    pub(super) dds: Dds,
    pub(super) trace: Trace,
    pub(super) violations: Vec<Violation>,
    /// Whether the network is well again for good.
    pub(super) healthy: bool,
    /// Requests on their way to a server.
    pub(super) packets: usize,
    /// Of each node: random choices for its calls, and when its network was not well.
    pub(super) links: Vec<Link>,
    /// Every start of a node.
    pub(super) incarnations: Vec<Incarnation>,
    pub(super) calls: u64,
    /// Of a fleet: its calls by the second.
    pub(super) tally: Tally,
    pub(super) times_known: bool,
}

/// The connection of one node to the servers.
pub(super) struct Link {
    /// One stream for each kind of call: what one call draws moves no other.
    pub(super) draws: Vec<Draw>,
    pub(super) troubles: Troubles,
    pub(super) journal: Arc<SimulatedJournal>,
    /// The calls of the current span of time: which one, and how many.
    pub(super) calls: (u64, u64),
}

/// The time in which a node may make a limited number of calls.
const SPAN: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn new(plan: Plan, planted: Option<Planted>, traced: bool) -> Arc<Self> {
        let links = (0..plan.nodes.len() as u64)
            .map(|node| Link {
                draws: (0..8).map(|kind| Draw::new(plan.seed, 100 + 10 * node + kind)).collect(),
                troubles: Troubles::default(),
                journal: Arc::default(),
                calls: (0, 0),
            })
            .collect();
        let state = State {
            dms: Dms::new(&plan),
            dds: Dds::new(plan.nodes.len(), plan.server.machine_token_lifetime),
            trace: Trace::new(traced),
            violations: Vec::new(),
            healthy: false,
            packets: 0,
            links,
            incarnations: Vec::new(),
            calls: 0,
            tally: Tally::new(plan.steady.is_some()),
            times_known: plan.times_are_known(),
        };
        Arc::new(Self { plan, planted, began: Instant::now(), state: Mutex::new(state) })
    }

    /// The time since the start of the run.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The moment so long after the start of the run.
    pub(super) fn moment(&self, at: Duration) -> Instant {
        self.began + at
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        self.state().trace.note(self.now(), what);
    }

    pub(super) fn is_planted(&self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    pub(super) fn violated(&self, invariant: Invariant, what: impl Into<String>) {
        let now = self.now();
        self.state().violated(now, invariant, what);
    }
}

impl State {
    pub(super) fn violated(&mut self, at: Duration, invariant: Invariant, what: impl Into<String>) {
        let violation = Violation { invariant, at, what: what.into() };
        self.trace.note(at, || format!("VIOLATION: {violation}"));
        if self.violations.len() < KEPT_VIOLATIONS {
            self.violations.push(violation);
        }
    }

    /// A node makes a call.
    pub(super) fn calls(&mut self, plan: &Plan, node: usize, now: Duration) {
        self.calls += 1;
        // Each lease may be renewed every quarter of a second, each attempt of each task takes a few calls, and the rest is
        // for polls and logins.
        let leases = plan.nodes[node].settings.max_concurrency as u64;
        let attempts: u64 = plan.tasks.iter().map(|task| u64::from(task.max_attempts)).sum();
        let allowed = leases * 45 + attempts * 4 + 100;
        let span = (now.as_millis() / SPAN.as_millis()) as u64;
        let calls = &mut self.links[node].calls;
        if calls.0 != span {
            *calls = (span, 0);
        }
        calls.1 += 1;
        if calls.1 == allowed {
            self.violated(now, Invariant::NoFlood, format!("node {node} made {allowed} calls in {SPAN:?}"));
        }
    }

    /// Sweeps the job server, and looks whether a living node let a lease expire for no reason.
    pub(super) fn sweep(&mut self, plan: &Plan, now: Duration) {
        for number in self.dms.expire(now) {
            self.trace.note(now, || format!("DMS: lease {number} has expired"));
            let lease = &self.dms.leases[number];
            // What went wrong since the last heartbeat that the node heard of may have ended its lease.
            let (from, to, node) = (lease.heard, lease.expires, lease.node);
            let cancelled = self.dms.tasks[lease.task].cancel_wanted;
            let holder = &self.incarnations[lease.incarnation];
            // A stop has no time for a second try: what went wrong since it began excuses as well.
            let from = holder.stopped.map_or(from, |stopped| from.min(stopped));
            let answered = holder.could_keep(to, plan.stop_bound(node), lease.slow_to_end)
                && plan.times_are_known()
                && !cancelled;
            let troubles = &self.links[node].troubles;
            // A report that was tried for as long as a node tries is given up with its lease, whatever a heartbeat did.
            let gave_up = lease.reported.is_some_and(|first| {
                let given_up = first + plan.delivery_timeout(node);
                given_up <= to && !troubles.is_calm(first, given_up)
            });
            if answered && !gave_up && troubles.is_calm(from, to) {
                let what = format!(
                    "lease {number} of node {node} expired at {:.3} s, {:.3} s after its last heartbeat, in a network that was well",
                    to.as_secs_f64(),
                    (to - lease.extended).as_secs_f64()
                );
                self.violated(now, Invariant::HeartbeatInTime, what);
            }
        }
    }
}
