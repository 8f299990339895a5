//! One start of a node: the control plane as `node.rs` puts it together, on simulated servers, runners and storage.

use std::sync::Arc;
use std::time::Duration;

use posemesh_net::clock::{Clock, SharedClock};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::admission::TroubleBoard;
use crate::auth::token::TokenSettings;
use crate::dms::JobServer;
use crate::journal::LeaseJournal;
use crate::records::{LeaseTotals, TaskRecords};
use crate::registration::membership::Membership;
use crate::registration::{RegistrationSettings, RegistrationStatus};
use crate::shutdown::Shutdown;
use crate::simulation::client::SimulatedJobServer;
use crate::simulation::discovery::SimulatedDiscovery;
use crate::simulation::incarnation::{Gone, Incarnation, Who};
use crate::simulation::machine::SimulatedMachine;
use crate::simulation::planted::{NoJournal, Planted, PlantedServer};
use crate::simulation::runners::{SimulatedRunners, SimulatedStorage};
use crate::simulation::world::World;
use crate::wall_clock;
use crate::worker::{Worker, WorkerParts, WorkerSettings};

/// A running node.
pub(super) struct RunningNode {
    pub(super) who: Who,
    pub(super) runners: Arc<SimulatedRunners>,
    /// Ends with the node.
    pub(super) task: JoinHandle<Option<LeaseTotals>>,
}

/// The wall clock of all nodes.
#[derive(Debug)]
struct NodeClock;

impl Clock for NodeClock {
    fn now(&self) -> OffsetDateTime {
        wall_clock::now()
    }
}

/// Starts a node.
pub(super) fn start(world: &Arc<World>, node: usize) -> RunningNode {
    let who = Who { node, incarnation: world.state().incarnations.len() };
    let (crash, shutdown, records) = (CancellationToken::new(), Shutdown::new(), TaskRecords::default());
    let incarnation = Incarnation::new(node, crash.clone(), shutdown.clone(), records.clone());
    world.state().incarnations.push(incarnation);
    world.note(|| format!("{who} starts"));
    let runners = Arc::new(SimulatedRunners::new(world.clone(), who));
    let body = run(world.clone(), who, runners.clone(), shutdown, records);
    let ended = world.clone();
    let task = tokio::spawn(async move {
        let totals = tokio::select! {
            biased;
            // The process is gone: everything that it was at is dropped where it waits.
            () = crash.cancelled() => None,
            totals = body => Some(totals),
        };
        let now = ended.now();
        let mut state = ended.state();
        state.trace.note(now, || format!("{who} is gone: {totals:?}"));
        let gone = if totals.is_some() { Gone::Returned } else { Gone::Crashed };
        if gone == Gone::Crashed || state.incarnations[who.incarnation].killed.is_some() {
            state.died(who, now);
        }
        state.incarnations[who.incarnation].gone = Some((now, gone));
        totals
    });
    RunningNode { who, runners, task }
}

/// As [`crate::node::Node::run`], without what only a whole process has.
async fn run(
    world: Arc<World>,
    who: Who,
    runners: Arc<SimulatedRunners>,
    shutdown: Shutdown,
    records: TaskRecords,
) -> LeaseTotals {
    use posemesh_runner_api::runner::Runners as _;
    let registration = RegistrationSettings { interval: Duration::from_secs(10), max_retry: None };
    let (membership, membership_task) = Membership::simulated(
        Arc::new(SimulatedDiscovery { world: world.clone(), who }),
        runners.capabilities(),
        (registration, TokenSettings::default()),
        Arc::new(NodeClock) as SharedClock,
    );
    let server: Arc<dyn JobServer> =
        Arc::new(SimulatedJobServer::new(world.clone(), who, membership.clone()));
    let server = match world.planted {
        Some(planted) => Arc::new(PlantedServer { server, planted, gave_up: false.into() }),
        None => server,
    };
    let storage = Arc::new(SimulatedStorage::new(world.clone()));
    let journal = world.state().links[who.node].journal.clone();
    let orphans = journal.orphans();
    world.state().finds(who, &orphans, world.now());
    let journal: Arc<dyn LeaseJournal> =
        if world.is_planted(Planted::WritesNoJournal) { Arc::new(NoJournal) } else { journal };
    let registered = watch::Sender::new(false);
    let parts = WorkerParts {
        server,
        runners,
        ports: storage.clone(),
        work_dirs: storage,
        admission: Arc::new(SimulatedMachine::new(world.clone(), who)),
        board: TroubleBoard::default(),
        orphans,
        journal,
        registered: registered.subscribe(),
        reported: membership.reported(),
        records,
    };
    let worker = Worker::new(parts, settings(&world, who.node));
    let stop = CancellationToken::new();
    if world.is_planted(Planted::LeaksTask) {
        tokio::spawn(std::future::pending::<()>());
    }
    let heard = if world.is_planted(Planted::IgnoresStop) { Shutdown::new() } else { shutdown };
    let work = async {
        let totals = worker.run(&heard).await;
        stop.cancel();
        totals
    };
    let followed = follow_registration(membership.status(), &registered, stop.clone());
    let (totals, (), ()) = tokio::join!(work, membership_task.run(stop.clone()), followed);
    totals
}

/// What the node was told, but for planted faults.
fn settings(world: &World, node: usize) -> WorkerSettings {
    let mut settings = world.plan.nodes[node].settings;
    if world.is_planted(Planted::AsksWhileFull) {
        settings.max_concurrency += 1;
    }
    if world.is_planted(Planted::StopsTooLate) {
        settings.shutdown_grace += Duration::from_secs(60);
        settings.lease.stop_grace += Duration::from_secs(60);
    }
    if world.is_planted(Planted::KeepsAllEvents) {
        settings.lease.report_limits.pending_events = usize::MAX;
        settings.lease.report_limits.pending_event_bytes = usize::MAX;
    }
    settings
}

async fn follow_registration(
    mut status: watch::Receiver<RegistrationStatus>,
    registered: &watch::Sender<bool>,
    stop: CancellationToken,
) {
    loop {
        registered.send_replace(*status.borrow_and_update() == RegistrationStatus::Registered);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
        // The login waits for the same status, and tokio draws who is woken first: let it be the login.
        sleep(Duration::from_millis(1)).await;
    }
}
