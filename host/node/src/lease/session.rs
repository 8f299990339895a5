//! The life of one lease, from granted to its one end (protocol 5).

use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::dms::outcome::SetupStage;
use crate::engine::records::OpenRecord;
use crate::engine::workdir::TaskDir;
use crate::heartbeat::clock::LeaseClock;
use crate::heartbeat::line::{Beat, Line};
use crate::heartbeat::{Condition, Heartbeats};
use crate::lease::conclude::{Conclusion, conclude, tell_in_time};
use crate::lease::context::{LeaseContext, TaskPorts};
use crate::lease::ending::{Ended, Ending};
use crate::lease::finish::Last;
use crate::lease::outcome;
use crate::lease::run::run;
use crate::lease::server::{HeartbeatAnswer, Lease, ServerErrorKind};
use posemesh_domain_client::token::TaskToken;
use posemesh_runner_api::reports::Reports;
use posemesh_runner_api::runner::{Runner, RunnerCall};

/// One lease being worked off.
pub struct Session {
    context: LeaseContext,
    lease: Lease,
    /// What the runner reports, and whether it should stop.
    reports: Reports,
    /// The line to the server until the heartbeats take it over.
    line: Line,
    /// Fires when the server has leased the task once more to this node.
    replaced: CancellationToken,
}

/// Everything that a run needs.
struct Ready {
    runner: Arc<dyn Runner>,
    ports: TaskPorts,
    dir: TaskDir,
}

/// Why a lease does not get to its runner.
enum Halt {
    /// The task can't be started here: the stage (protocol 3.6) and the error.
    Setup(SetupStage, String),
    /// The node shuts down.
    GiveBack,
    /// The lease is over.
    Over(Condition),
}

impl Session {
    /// Takes a lease over whose request was sent at `sent`.
    pub fn new(context: LeaseContext, lease: Lease, sent: Instant) -> Self {
        let reports = Reports::new(context.settings.report_limits);
        let token = Arc::new(TaskToken::new(lease.access_token.clone()));
        let clock = LeaseClock::start(sent, lease.lease_expires_at, lease.server_date);
        let line = Line::new(context.server.clone(), lease.task.id, clock, reports.clone(), token);
        Self { context, lease, reports, line, replaced: CancellationToken::new() }
    }

    /// To be cancelled when the server leases the same task to this node once more. Nothing is said about
    /// this lease from then on: it would be heard as said about the other.
    pub fn replaced(&self) -> CancellationToken {
        self.replaced.clone()
    }

    /// Works the lease off. Everything it started is ended, and the task's directory removed, when it
    /// returns.
    pub async fn run(mut self, record: OpenRecord) -> Ended {
        let began = Instant::now();
        info!(lease_ttl = ?self.line.clock().ttl(), "leased");
        let ended = match self.set_up().await {
            Ok(ready) => Ended { ending: self.work(ready, &record).await, started: true },
            Err(halt) => Ended { ending: self.halted(halt).await, started: false },
        };
        log_end(&ended.ending, began);
        record.end(ended.ending.clone());
        ended
    }

    /// Tells the server that the node shuts down and does not want the lease.
    pub async fn give_back(self, record: OpenRecord) -> Ended {
        let began = Instant::now();
        info!("leased while shutting down; giving it back");
        let halt = if self.lease.cancel { Halt::Over(Condition::Cancelled) } else { Halt::GiveBack };
        let ended = Ended { ending: self.halted(halt).await, started: false };
        log_end(&ended.ending, began);
        record.end(ended.ending.clone());
        ended
    }

    async fn set_up(&mut self) -> Result<Ready, Halt> {
        if self.lease.cancel {
            return Err(Halt::Over(Condition::Cancelled));
        }
        let mut runner = self.pick()?;
        let capability = self.lease.task.capability.clone();
        let answer = self.initial_heartbeat().await?;
        answer.merge_into(&mut self.lease);
        if self.lease.task.capability != capability {
            runner = self.pick()?;
        }
        let stop = self.reports.stop_token().clone();
        let dir = self.context.work_dirs.task_dir().await.map_err(|error| {
            Halt::Setup(SetupStage::BuildPorts, format!("could not make the task's directory: {error}"))
        })?;
        match self.context.storages.open(&self.lease, self.line.token().clone(), stop, dir.disk().clone()) {
            Ok(ports) => Ok(Ready { runner, ports, dir }),
            Err(error) => {
                dir.remove().await;
                Err(Halt::Setup(SetupStage::BuildPorts, error))
            }
        }
    }

    fn pick(&self) -> Result<Arc<dyn Runner>, Halt> {
        let capability = &self.lease.task.capability;
        self.context.runners.pick(capability).ok_or_else(|| {
            let live: Vec<String> = self.context.runners.capabilities().borrow().iter().cloned().collect();
            Halt::Setup(
                SetupStage::StartSession,
                format!("no live runner for capability {capability}; live are: {}", live.join(", ")),
            )
        })
    }

    /// Tries until it is answered, or until what is left of the lease is needed to say that it failed.
    async fn initial_heartbeat(&mut self) -> Result<HeartbeatAnswer, Halt> {
        let (give_back, replaced) = (self.context.give_back.clone(), self.replaced.clone());
        let clock = self.line.clock();
        let give_up = clock.deadline() - (clock.deadline() - clock.granted()) / 4;
        loop {
            let beat = tokio::select! {
                biased;
                () = replaced.cancelled() => return Err(Halt::Over(Condition::replaced())),
                () = give_back.cancelled() => return Err(Halt::GiveBack),
                beat = self.line.beat() => beat,
            };
            let (again, error) = match beat {
                Beat::Held(answer) => return Ok(*answer),
                Beat::Cancelled => return Err(Halt::Over(Condition::Cancelled)),
                Beat::Lost(why) => return Err(Halt::Over(Condition::Lost(why))),
                Beat::Failed { again, error } => (again, error),
            };
            if error.kind == ServerErrorKind::Fatal || Instant::now() + again >= give_up {
                return Err(Halt::Setup(SetupStage::InitialHeartbeat, error.text));
            }
            warn!(%error, retry_in = ?again, "the initial heartbeat failed");
            tokio::select! {
                biased;
                () = replaced.cancelled() => return Err(Halt::Over(Condition::replaced())),
                () = give_back.cancelled() => return Err(Halt::GiveBack),
                () = sleep(again) => {}
            }
        }
    }

    /// Runs the runner with heartbeats beside it, and tells the server how it went.
    async fn work(self, ready: Ready, record: &OpenRecord) -> Ending {
        let Self { context, lease, reports, line, replaced } = self;
        let Ready { runner, ports, dir } = ready;
        let label = runner.label();
        info!(runner = label, "running");
        record.running(label, reports.clone(), ports.traffic);
        let call = RunnerCall {
            task: lease.task.clone(),
            inputs: ports.inputs,
            outputs: ports.outputs.clone(),
            reports: reports.clone(),
            disk: dir.disk().clone(),
            log_file: record.log_file(),
        };
        let heartbeats = Heartbeats::start(line, context.settings.heartbeat, replaced);
        let end = run(runner, call, context.settings.stop_grace, &context.give_back).await;
        record.finishing();
        if end.stuck {
            record.stuck();
        }
        if reports.dropped_events() > 0 {
            warn!(
                dropped = reports.dropped_events(),
                "the runner logged more events than heartbeats could carry"
            );
        }
        // With the lease its token ends.
        ports.outputs.settle().await;
        let conclusion = Conclusion { lease, result: end.result, artifacts: ports.outputs.finished() };
        let ending = conclude(&context, conclusion, &heartbeats, &reports).await;
        drop(heartbeats);
        dir.remove().await;
        ending
    }

    /// The end of a lease that did not get to its runner. No heartbeats go on meanwhile: if the server
    /// can't be told within what is left of the lease, it is best that the lease expires.
    async fn halted(&self, halt: Halt) -> Ending {
        let last = match halt {
            Halt::Over(condition) => return condition.into(),
            Halt::Setup(stage, error) => {
                let details = outcome::setup_details(stage.as_str(), &error);
                Last::Fail { reason: outcome::NODE_SETUP_FAILED.to_owned(), details }
            }
            Halt::GiveBack => {
                let details = outcome::fail_details(&self.lease, &[], None);
                Last::Fail { reason: outcome::NODE_SHUTDOWN.to_owned(), details }
            }
        };
        let deadline = self.line.clock().deadline();
        let over = async {
            tokio::select! {
                biased;
                () = self.replaced.cancelled() => Condition::replaced(),
                () = sleep_until(deadline) => {
                    Condition::Expired("it could not be given back in time".to_owned())
                }
            }
        };
        tell_in_time(&self.context, self.line.task_id(), &last, over).await.unwrap_or_else(Ending::from)
    }
}

fn log_end(ending: &Ending, began: Instant) {
    let took = began.elapsed();
    match ending {
        Ending::Completed { .. } | Ending::Cancelled => info!(?took, "lease {ending}"),
        Ending::Failed { .. } | Ending::Lost { .. } => warn!(?took, "lease {ending}"),
    }
}
