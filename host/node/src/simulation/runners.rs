//! Runners that succeed, fail, hang, don't hear, and talk too much; ports and directories that fail now and then.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use posemesh_domain_client::{DomainPorts, TaskToken};
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError, PortErrorKind,
};
use posemesh_runner_api::runner::{Runner, RunnerCall, Runners};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::dms::Lease;
use crate::lease::OpenPorts;
use crate::simulation::draw::Draw;
use crate::simulation::incarnation::Who;
use crate::simulation::ledger::lease_of;
use crate::simulation::plan::CAPABILITIES;
use crate::simulation::world::World;
use crate::workdir::{TaskDir, TaskDirs};

/// The live runners of one start of a node.
pub(super) struct SimulatedRunners {
    runner: Arc<SimulatedRunner>,
    live: Mutex<BTreeSet<String>>,
    /// One channel for each that watches: the watchers of one channel are woken in an order that tokio draws.
    watchers: Mutex<Vec<watch::Sender<BTreeSet<String>>>>,
}

impl SimulatedRunners {
    /// All runners are live.
    pub(super) fn new(world: Arc<World>, who: Who) -> Self {
        Self {
            runner: Arc::new(SimulatedRunner { world, who }),
            live: Mutex::new(capabilities(3)),
            watchers: Mutex::default(),
        }
    }

    /// From now on these are live, as bits.
    pub(super) fn swap(&self, live: u8) {
        let live = capabilities(live);
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = live.clone();
        for watcher in self.watchers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            watcher.send_replace(live.clone());
        }
    }
}

fn capabilities(bits: u8) -> BTreeSet<String> {
    let live = CAPABILITIES.iter().enumerate().filter(|(number, _)| bits & (1 << number) != 0);
    live.map(|(_, capability)| (*capability).to_owned()).collect()
}

impl Runners for SimulatedRunners {
    fn capabilities(&self) -> watch::Receiver<BTreeSet<String>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (watcher, watched) = watch::channel(live);
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        watched
    }

    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).contains(capability);
        live.then(|| self.runner.clone() as Arc<dyn Runner>)
    }

    fn stuck(&self) -> usize {
        0
    }
}

struct SimulatedRunner {
    world: Arc<World>,
    who: Who,
}

#[async_trait]
impl Runner for SimulatedRunner {
    fn label(&self) -> String {
        "simulated 1.0.0 #1".to_owned()
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        let lease = call.task.job_id.and_then(lease_of).unwrap_or_default();
        let mut draw = Draw::new(self.world.plan.seed, 1000 + lease as u64);
        let result = self.behave(&mut draw, &call, lease).await;
        self.world.state().dms.leases[lease].events.dropped = call.reports.dropped_events();
        let (world, who) = (&self.world, self.who);
        world.note(|| format!("the runner of lease {lease} on {who} ends: {result:?}"));
        result
    }
}

impl SimulatedRunner {
    fn event(&self, call: &RunnerCall, lease: usize, step: u64) {
        self.world.state().dms.leases[lease].events.emitted += 1;
        let event = json!({ "lease": lease, "step": step });
        call.reports.event(event);
    }

    async fn behave(&self, draw: &mut Draw, call: &RunnerCall, lease: usize) -> Result<(), RunFailure> {
        if let Some(lasts) = self.world.plan.steady {
            return works(call, lasts).await;
        }
        let ttl = self.world.plan.server.ttl.as_millis() as u64;
        let lasts = draw.of([50, ttl / 2, 3 * ttl]);
        let lasts = draw.millis(0, lasts);
        if draw.in_thousand(150) {
            let opened = call.inputs.open("cid").await;
            opened.map_err(|error| {
                RunFailure::new(FailureKind::PortError, error.text).blamed_on(error.blame)
            })?;
        }
        let stop = call.reports.stop_token().clone();
        let work = async {
            match draw.between(0, 9) {
                // Talks about every step.
                0 | 1 => {
                    let steps = draw.between(1, 60);
                    for step in 0..steps {
                        sleep(lasts / steps as u32).await;
                        call.reports.progress(json!({ "lease": lease, "step": step }));
                        self.event(call, lease, step);
                    }
                }
                // Talks at once about everything.
                2 => {
                    for step in 0..draw.between(1, 100) {
                        self.event(call, lease, step);
                    }
                    sleep(lasts).await;
                }
                _ => {
                    call.reports.progress(json!({ "lease": lease }));
                    sleep(lasts).await;
                }
            }
            match draw.between(0, 9) {
                0 | 1 => Err(RunFailure::new(FailureKind::RunnerError, "simulated failure")),
                2 => Err(RunFailure::host("simulated trouble of the host")),
                // Would go on for ever, but for its deadline.
                3 => {
                    sleep(Duration::from_secs(120)).await;
                    Err(RunFailure::new(FailureKind::Deadline, "simulated deadline"))
                }
                _ => Ok(()),
            }
        };
        if draw_of_lease(self.world.plan.seed, lease).in_thousand(100) {
            // Does not hear that it should stop.
            self.world.state().dms.leases[lease].slow_to_end = true;
            return work.await;
        }
        tokio::select! {
            biased;
            result = work => result,
            () = stop.cancelled() => {
                sleep(Duration::from_millis(10)).await;
                Err(RunFailure::new(FailureKind::Cancelled, "simulated stop"))
            }
        }
    }
}

/// A runner that says once how far it is, works for so long, and hears that it should stop.
async fn works(call: &RunnerCall, lasts: Duration) -> Result<(), RunFailure> {
    call.reports.progress(json!({ "fraction": 0.5 }));
    tokio::select! {
        biased;
        () = sleep(lasts) => Ok(()),
        () = call.reports.stop_token().cancelled() => {
            Err(RunFailure::new(FailureKind::Cancelled, "simulated stop"))
        }
    }
}

fn draw_of_lease(seed: u64, lease: usize) -> Draw {
    Draw::new(seed, 1_000_000 + lease as u64)
}

/// Opens the ports of a task.
pub(super) struct SimulatedStorage {
    world: Arc<World>,
}

impl SimulatedStorage {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl OpenPorts for SimulatedStorage {
    fn open(
        &self,
        lease: &Lease,
        token: Arc<TaskToken>,
        stop: CancellationToken,
        _: TaskDisk,
    ) -> Result<DomainPorts, &'static str> {
        lease.domain_server_url.get()?;
        let number = lease.task.job_id.and_then(lease_of).unwrap_or_default();
        let seed = self.world.plan.seed;
        let ports = |stream: u64| {
            let draw = Mutex::new(Draw::new(seed, stream + number as u64));
            let (world, lease) = (self.world.clone(), number);
            Arc::new(SimulatedPorts { world, lease, draw, token: token.clone(), stop: stop.clone() })
        };
        Ok(DomainPorts { inputs: ports(2_000_000), outputs: ports(3_000_000), traffic: Arc::default() })
    }
}

impl TaskDirs for SimulatedStorage {
    fn task_dir(&self) -> TaskDir {
        TaskDir::simulated()
    }
}

/// The ports of one task.
struct SimulatedPorts {
    world: Arc<World>,
    lease: usize,
    draw: Mutex<Draw>,
    token: Arc<TaskToken>,
    stop: CancellationToken,
}

impl SimulatedPorts {
    fn draw<T>(&self, draw: impl FnOnce(&mut Draw) -> T) -> T {
        draw(&mut self.draw.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl InputPort for SimulatedPorts {
    /// There are no inputs, but there is trouble on the way to them.
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        if self.draw(|draw| draw.in_thousand(500)) {
            // The domain server refuses the task token: an early heartbeat brings another.
            let rotation = self.token.current().rotation;
            self.token.want_refresh();
            // No answer need bring one.
            let _ = timeout(Duration::from_secs(2), self.token.rotated_since(rotation)).await;
        }
        let wait = self.draw(|draw| draw.millis(0, 3000));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(PortError::new(PortErrorKind::Cancelled, "simulated stop")),
            () = sleep(wait) => Err(PortError::new(PortErrorKind::Unavailable, "simulated outage")),
        }
    }
}

#[async_trait]
impl OutputPort for SimulatedPorts {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::new(PortErrorKind::Denied, "simulated refusal"))
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }

    async fn wait_for_aborts(&self) {
        if self.draw(|draw| draw.in_thousand(50)) {
            self.world.state().dms.leases[self.lease].slow_to_end = true;
            let until = Instant::now() + self.draw(|draw| draw.millis(1, 8000));
            tokio::time::sleep_until(until).await;
        }
    }
}
