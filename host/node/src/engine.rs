//! The engine: takes leases as long as there are workers for them, works each off in a task of its own,
//! and stops politely.
//!
//! It never asks for work that it could not start: a free worker, live runners and a registered node
//! come first. One loop does all of it; nothing that a lease does can hold it up.

mod drain;
mod pace;
mod poll;
pub mod records;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod workdir;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span, warn};
use uuid::Uuid;

use crate::engine::pace::Pace;
use crate::engine::poll::{Polled, Polling};
use crate::engine::records::{TaskRecords, Totals};
use crate::engine::settings::EngineSettings;
use crate::engine::workdir::WorkDirs;
use crate::lease::server::{Lease, LeaseAnswer, LeaseServer};
use crate::lease::{Ended, LeaseContext, Session, Storages};
use crate::shutdown::Shutdown;
use posemesh_runner_api::runner::Runners;

/// What the engine works with.
pub struct EngineParts {
    /// The job server.
    pub server: Arc<dyn LeaseServer>,
    /// The live runners.
    pub runners: Arc<dyn Runners>,
    /// The way to the data.
    pub storages: Arc<dyn Storages>,
    /// Where tasks have their private directories.
    pub work_dirs: Arc<WorkDirs>,
    /// Whether the node is registered; no work is asked for while it is not.
    pub ready: watch::Receiver<bool>,
    /// Where people look up what it does.
    pub records: TaskRecords,
}

/// The engine, not yet running.
pub struct Engine {
    context: LeaseContext,
    settings: EngineSettings,
    records: TaskRecords,
    ready: Watched<bool>,
    capabilities: Watched<BTreeSet<String>>,
    pace: Pace,
    /// The leases that are worked on.
    sessions: JoinSet<Ended>,
    /// What is known of them from outside; those that have ended go with the next lease.
    held: Vec<Held>,
    /// The `GET /tasks` that is under way, if one is.
    polling: Option<Polling>,
}

/// A lease that is worked on.
struct Held {
    task_id: Uuid,
    /// Fires when the server has leased the same task to this node once more: then the earlier lease was
    /// over, and whatever its session still said would count for the later one.
    replaced: CancellationToken,
    task: AbortHandle,
}

impl Engine {
    /// Puts an engine together. It does nothing before [`Engine::run`].
    pub fn new(parts: EngineParts, settings: EngineSettings) -> Self {
        let capabilities = Watched::new(parts.runners.capabilities());
        let context = LeaseContext {
            server: parts.server,
            runners: parts.runners,
            storages: parts.storages,
            work_dirs: parts.work_dirs,
            settings: settings.lease,
            give_back: CancellationToken::new(),
        };
        Self {
            context,
            records: parts.records,
            ready: Watched::new(parts.ready),
            capabilities,
            pace: Pace::new(settings.poll_backoff_min, settings.poll_backoff_max),
            sessions: JoinSet::new(),
            held: Vec::new(),
            polling: None,
            settings,
        }
    }

    /// Takes leases and works them off until the node is to shut down, then ends what is running
    /// within the grace time. All tasks that it started have ended when it returns.
    pub async fn run(mut self, shutdown: &Shutdown) -> Totals {
        info!(max_concurrency = self.settings.max_concurrency, "the engine takes leases");
        loop {
            let due = self.poll_due();
            tokio::select! {
                biased;
                () = shutdown.draining().cancelled() => break,
                Some(joined) = self.sessions.join_next() => self.session_ended(joined.ok()),
                polled = poll::answer(&mut self.polling) => self.answered(polled),
                () = self.ready.changed() => {}
                () = self.capabilities.changed() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.polling = Some(poll::start(&self.context.server));
                }
            }
        }
        self.drain(shutdown).await;
        let totals = self.records.totals();
        info!(?totals, "the engine has stopped");
        totals
    }

    /// When to ask for work, if work could be started.
    fn poll_due(&self) -> Option<Instant> {
        let may = self.polling.is_none()
            && self.sessions.len() < self.settings.max_concurrency.max(1)
            && *self.ready.borrow()
            && !self.capabilities.borrow().is_empty();
        may.then(|| self.pace.next())
    }

    fn answered(&mut self, polled: Polled) {
        if polled.answer.is_ok() {
            self.records.asked();
        }
        match polled.answer {
            Ok(LeaseAnswer::Lease(lease)) => {
                self.pace.leased();
                self.start(*lease, polled.sent);
            }
            Ok(LeaseAnswer::NoWork) => {
                debug!("no work");
                self.pace.idle();
            }
            Ok(LeaseAnswer::Busy) => {
                debug!(running = self.sessions.len(), "the server says that this node holds a lease");
                self.pace.busy(self.sessions.len());
            }
            Ok(LeaseAnswer::Undecodable { task_id, error }) => {
                warn!(?task_id, %error, "got a lease that can't be read");
                self.pace.stumbled();
                if let Some(task_id) = task_id {
                    self.refuse(task_id, error);
                }
            }
            Err(error) => {
                let retry_in = self.pace.failed(poll::retry_after(&error));
                warn!(%error, ?retry_in, "could not ask for work");
            }
        }
    }

    fn start(&mut self, lease: Lease, sent: Instant) {
        let task_id = lease.task.id;
        let record = self.records.begin(&lease);
        let span = task_span(&lease);
        let session = Session::new(self.context.clone(), lease, sent);
        self.held.retain(|held| !held.task.is_finished());
        for earlier in self.held.iter().filter(|held| held.task_id == task_id) {
            warn!(%task_id, "the server has leased a task anew that is still worked on here");
            earlier.replaced.cancel();
        }
        let replaced = session.replaced();
        let task = self.sessions.spawn(session.run(record).instrument(span));
        self.held.push(Held { task_id, replaced, task });
    }

    fn refuse(&mut self, task_id: Uuid, error: String) {
        let (context, records) = (self.context.clone(), self.records.clone());
        self.sessions.spawn(poll::refuse(context, records, task_id, error));
    }

    fn session_ended(&mut self, ended: Option<Ended>) {
        match ended {
            Some(ended) if ended.is_progress() => self.pace.worked(),
            Some(_) => {
                let retry_in = self.pace.stumbled();
                debug!(?retry_in, "the lease got nowhere");
            }
            None => {
                self.pace.stumbled();
                error!("the task of a lease broke down; the lease is left to expire");
            }
        }
    }
}

/// The fields that every line about a task has.
fn task_span(lease: &Lease) -> tracing::Span {
    let task = &lease.task;
    let span = info_span!(
        "task",
        task_id = %task.id,
        job_id = tracing::field::Empty,
        capability = task.capability,
        domain_id = tracing::field::Empty,
    );
    if let Some(job_id) = task.job_id {
        span.record("job_id", tracing::field::display(job_id));
    }
    if let Some(domain_id) = lease.domain_id {
        span.record("domain_id", tracing::field::display(domain_id));
    }
    span
}

/// A watched value whose last state stays when its sender is gone.
struct Watched<T> {
    receiver: watch::Receiver<T>,
    gone: bool,
}

impl<T> Watched<T> {
    fn new(receiver: watch::Receiver<T>) -> Self {
        Self { receiver, gone: false }
    }

    fn borrow(&self) -> watch::Ref<'_, T> {
        self.receiver.borrow()
    }

    /// Waits for a change; forever if there can be none.
    async fn changed(&mut self) {
        if self.gone || self.receiver.changed().await.is_err() {
            self.gone = true;
            std::future::pending::<()>().await;
        }
    }
}
