//! What a seed stands for: the nodes, the servers, the tasks, and what goes wrong when.

use std::time::Duration;

use posemesh_runner_api::reports::ReportLimits;

use crate::heartbeat::HeartbeatPolicy;
use crate::lease::LeaseSettings;
use crate::shutdown::AfterDrain;
use crate::simulation::draw::Draw;
use crate::worker::WorkerSettings;

/// Capabilities of the simulated runners.
pub(super) const CAPABILITIES: [&str; 2] = ["/simulated/one/v1", "/simulated/two/v1"];

/// Everything that a seed decides beforehand. What it decides on the way comes from streams of the same seed.
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) nodes: Vec<NodePlan>,
    pub(super) server: ServerPlan,
    pub(super) network: NetworkPlan,
    pub(super) tasks: Vec<TaskPlan>,
    pub(super) events: Vec<(Duration, Event)>,
    /// How far the nodes' wall clock is ahead of the server's, in seconds.
    pub(super) node_clock_ahead: i64,
    /// When everything is well again.
    pub(super) healthy_from: Duration,
    /// What every task takes; none if runners do as they like.
    pub(super) steady: Option<Duration>,
}

/// One node.
pub(super) struct NodePlan {
    pub(super) settings: WorkerSettings,
}

/// How the servers behave where the protocol leaves it open.
pub(super) struct ServerPlan {
    pub(super) ttl: Duration,
    /// Expired leases are looked for so often.
    pub(super) sweep: Duration,
    /// Whether calls about a lease that has expired and was not swept yet are accepted.
    pub(super) forgiving: bool,
    pub(super) one_lease_per_node: bool,
    /// How a call about a lease that is not held is answered.
    pub(super) lost_status: u16,
    pub(super) dates: Dates,
    /// Whether each heartbeat brings a new task token.
    pub(super) rotates_task_tokens: bool,
    /// Whether answers to heartbeats say when the lease ends.
    pub(super) tells_expiry: bool,
    pub(super) machine_token_lifetime: Duration,
    /// Whether a cancelled task is told of by `cancel: true`, or only by `lost_status`.
    pub(super) tells_cancel: bool,
}

/// The `Date` of answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// By the clock that leases expire by.
    Exact,
    /// No `Date`.
    Missing,
    /// By a clock that is so many seconds ahead.
    Ahead(i64),
}

/// The network between nodes and servers.
pub(super) struct NetworkPlan {
    /// Calls of a thousand that go wrong, for each kind of call.
    pub(super) fault_rate: u64,
    /// Longest way in one direction, in milliseconds.
    pub(super) latency: u64,
    pub(super) request_timeout: Duration,
    /// Times in which the job server, or DDS, can't be reached.
    pub(super) outages: Vec<Outage>,
    /// Calls of a thousand in the middle of which the node crashes.
    pub(super) crash_rate: u64,
}

/// A time in which a server can't be reached.
pub(super) struct Outage {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) of_dds: bool,
    /// Whether requests are refused at once, or vanish.
    pub(super) refuses: bool,
}

/// One task that somebody submits.
pub(super) struct TaskPlan {
    pub(super) at: Duration,
    pub(super) capability: usize,
    pub(super) max_attempts: u32,
}

/// Something that happens to a node or to a task from outside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// The submitter cancels the task.
    Cancel(usize),
    /// SIGTERM.
    Stop(usize),
    /// SIGTERM, and another one so many milliseconds later.
    StopAndKill(usize, u64),
    /// A drain, which is undone so many milliseconds later unless it is 0; whether the node ends when it has drained.
    Drain(usize, u64, AfterDrain),
    /// The process dies.
    Crash(usize),
    /// The runners of a node change: which of the capabilities are live, as bits.
    Swap(usize, u8),
    /// DDS withdraws all machine tokens of a node.
    Revoke(usize),
    /// DDS forgets a node.
    Unregister(usize),
    /// Somebody sets the nodes' wall clock: by so many seconds.
    SetClock(i64),
}

impl Plan {
    /// What this seed stands for.
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 0);
        let draw = &mut draw;
        // Some seeds are calm, so that what must hold in a healthy network is tried as well.
        let turmoil = draw.between(0, 4);
        let healthy_from = Duration::from_secs(draw.between(20, 60 + 60 * turmoil));
        let ttl = Duration::from_secs(draw.of([5, 8, 10, 20, 30, 60]));
        let nodes: Vec<NodePlan> = (0..draw.between(1, 3)).map(|_| NodePlan::new(draw)).collect();
        let dates = match draw.between(0, 9) {
            0 => Dates::Missing,
            1 => Dates::Ahead(draw.of([-3, 2, 7200])),
            _ => Dates::Exact,
        };
        let server = ServerPlan {
            ttl,
            sweep: draw.of([Duration::from_millis(1), Duration::from_secs(2), Duration::from_secs(30)]),
            forgiving: draw.in_thousand(300),
            one_lease_per_node: draw.in_thousand(300),
            lost_status: draw.of([409, 409, 404, 410]),
            dates,
            rotates_task_tokens: draw.in_thousand(500),
            tells_expiry: draw.in_thousand(900),
            machine_token_lifetime: Duration::from_secs(draw.of([30, 60, 300, 3600])),
            tells_cancel: draw.in_thousand(800),
        };
        let tasks = (0..draw.between(1, 4 + 4 * nodes.len() as u64))
            .map(|_| TaskPlan {
                at: draw.millis(0, healthy_from.as_millis() as u64 * 3 / 4),
                capability: usize::from(draw.in_thousand(300)),
                max_attempts: draw.between(1, 4) as u32,
            })
            .collect::<Vec<_>>();
        let events = events(draw, turmoil, healthy_from, nodes.len(), tasks.len());
        let network = NetworkPlan::new(draw, turmoil, healthy_from);
        let node_clock_ahead = if draw.in_thousand(250) { draw.of([-7200, -30, 45, 7200]) } else { 0 };
        Self { seed, nodes, server, network, tasks, events, node_clock_ahead, healthy_from, steady: None }
    }

    /// So many nodes with the settings that they have without settings, for servers and a network that are well, and a task
    /// for each, which takes so long.
    pub(super) fn fleet(nodes: usize, steady: Duration) -> Self {
        let server = ServerPlan {
            ttl: Duration::from_secs(60),
            sweep: Duration::from_secs(1),
            forgiving: false,
            one_lease_per_node: true,
            lost_status: 409,
            dates: Dates::Exact,
            rotates_task_tokens: true,
            tells_expiry: true,
            machine_token_lifetime: Duration::from_secs(3600),
            tells_cancel: true,
        };
        let network = NetworkPlan {
            fault_rate: 0,
            latency: 20,
            request_timeout: Duration::from_secs(30),
            outages: Vec::new(),
            crash_rate: 0,
        };
        let task = || TaskPlan { at: Duration::ZERO, capability: 0, max_attempts: 10 };
        Self {
            seed: 0,
            nodes: (0..nodes).map(|_| NodePlan { settings: WorkerSettings::default() }).collect(),
            server,
            network,
            tasks: (0..nodes).map(|_| task()).collect(),
            events: Vec::new(),
            node_clock_ahead: 0,
            healthy_from: Duration::ZERO,
            steady: Some(steady),
        }
    }

    /// Whether a node can know when its leases end.
    pub(super) fn times_are_known(&self) -> bool {
        match self.server.dates {
            Dates::Exact => true,
            Dates::Missing => {
                let set = |(_, event): &(Duration, Event)| matches!(event, Event::SetClock(_));
                self.node_clock_ahead == 0 && !self.events.iter().any(set)
            }
            Dates::Ahead(_) => false,
        }
    }

    /// How long this node tries to deliver a final report.
    pub(super) fn delivery_timeout(&self, node: usize) -> Duration {
        self.nodes[node].settings.lease.delivery_timeout
    }

    /// What the stop of this node may take.
    pub(super) fn stop_bound(&self, node: usize) -> Duration {
        // A shorter grace time leaves no time to give a lease back.
        self.nodes[node].settings.shutdown_grace.max(Duration::from_secs(2))
    }
}

impl NodePlan {
    fn new(draw: &mut Draw) -> Self {
        let heartbeat = match draw.between(0, 5) {
            0 => HeartbeatPolicy { min_ratio: 0.5, max_ratio: 0.7, jitter: Duration::from_secs(1) },
            1 => HeartbeatPolicy { min_ratio: 0.0, max_ratio: 0.2, jitter: Duration::ZERO },
            _ => HeartbeatPolicy::default(),
        };
        let lease = LeaseSettings {
            heartbeat,
            report_limits: ReportLimits { pending_events: 16, pending_event_bytes: 1000 },
            stop_grace: Duration::from_secs(draw.of([1, 5, 20])),
            delivery_timeout: Duration::from_secs(draw.of([60, 300])),
        };
        let settings = WorkerSettings {
            max_concurrency: draw.of([1, 1, 2, 3, 4, 8]),
            poll_backoff_min: Duration::from_millis(draw.of([200, 1000])),
            poll_backoff_max: Duration::from_secs(draw.of([3, 10, 30])),
            shutdown_grace: Duration::from_secs(draw.of([0, 8, 25])),
            lease,
        };
        Self { settings }
    }
}

impl NetworkPlan {
    fn new(draw: &mut Draw, turmoil: u64, healthy_from: Duration) -> Self {
        let horizon = healthy_from.as_millis() as u64;
        let outages = (0..draw.between(0, turmoil))
            .map(|_| {
                let from = draw.millis(0, horizon);
                let lasts = draw.of([500, 3_000, 12_000, 60_000]);
                Outage {
                    from,
                    to: (from + draw.millis(1, lasts)).min(healthy_from),
                    of_dds: draw.in_thousand(300),
                    refuses: draw.in_thousand(500),
                }
            })
            .collect();
        Self {
            fault_rate: if turmoil == 0 { 0 } else { draw.of([0, 10, 50, 150, 400]) },
            latency: draw.of([1, 20, 250]),
            request_timeout: Duration::from_secs(draw.of([1, 5, 30])),
            outages,
            crash_rate: if turmoil < 2 { 0 } else { draw.of([0, 0, 3, 20]) },
        }
    }
}

fn events(
    draw: &mut Draw,
    turmoil: u64,
    healthy_from: Duration,
    nodes: usize,
    tasks: usize,
) -> Vec<(Duration, Event)> {
    let horizon = healthy_from.as_millis() as u64;
    let mut events: Vec<(Duration, Event)> = (0..draw.between(0, 3 * turmoil))
        .map(|_| {
            let (node, task) = (draw.between(0, nodes as u64 - 1), draw.between(0, tasks as u64 - 1));
            let (node, task) = (node as usize, task as usize);
            let event = match draw.between(0, 9) {
                0..=2 => Event::Cancel(task),
                3 => Event::Stop(node),
                4 => Event::StopAndKill(node, draw.between(1, 10_000)),
                5 if draw.in_thousand(500) => Event::Crash(node),
                5 => {
                    let resumed = draw.of([0, 1, 2_000, 30_000]);
                    Event::Drain(node, resumed, draw.of([AfterDrain::Stop, AfterDrain::Stay]))
                }
                6 | 7 => Event::Swap(node, draw.between(0, 3) as u8),
                8 if draw.in_thousand(300) => Event::SetClock(draw.of([-3600, -10, 10, 3600])),
                8 => Event::Revoke(node),
                _ => Event::Unregister(node),
            };
            (draw.millis(1, horizon), event)
        })
        .collect();
    events.sort_by_key(|(at, _)| *at);
    events
}
