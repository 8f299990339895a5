//! A job server, runners and storage in memory, for the tests of leases, heartbeats and the engine.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fakes;
mod server;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

pub use self::fakes::{FakeRunners, FakeStorages};
pub use self::server::{Call, ScriptedServer};
use crate::dms::DomainServerUrl;
use crate::engine::records::TaskRecords;
use crate::engine::workdir::WorkDirs;
use crate::lease::server::{HeartbeatAnswer, Lease, ServerError, ServerErrorKind};
use crate::lease::{Ended, LeaseContext, LeaseSettings, Session};
use posemesh_net::secret::Secret;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::runner::RunnerCall;
use posemesh_runner_api::task::Task;

/// The TTL of scripted leases.
pub const TTL: Duration = Duration::from_secs(60);
/// The only capability with a runner.
pub const CAPABILITY: &str = "/test/v1";

/// A moment of the server's clock, far from ours.
pub fn server_date() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1 << 30)
}

/// A lease for a fresh task.
pub fn lease(capability: &str) -> Lease {
    Lease {
        task: Task::new(Uuid::new_v4(), capability),
        access_token: Some(Secret::new("token-0")),
        lease_expires_at: Some(server_date() + TTL),
        server_date: Some(server_date()),
        cancel: false,
        domain_id: Some(Uuid::new_v4()),
        domain_server_url: DomainServerUrl::Valid(Url::parse("https://domain.test").unwrap()),
        access_token_expires_at: None,
        status: None,
    }
}

/// An answer that extends the lease by the TTL.
pub fn extended() -> HeartbeatAnswer {
    HeartbeatAnswer {
        lease_expires_at: Some(server_date() + TTL),
        server_date: Some(server_date()),
        ..silent()
    }
}

/// An answer that says nothing.
pub fn silent() -> HeartbeatAnswer {
    HeartbeatAnswer {
        access_token: None,
        access_token_expires_at: None,
        lease_expires_at: None,
        server_date: None,
        cancel: false,
        status: None,
        domain_id: None,
        domain_server_url: DomainServerUrl::Missing,
        task: None,
        task_id: None,
        job_id: None,
        attempts: None,
        max_attempts: None,
        deps_remaining: None,
    }
}

/// An error of this kind.
pub fn error(kind: ServerErrorKind) -> ServerError {
    ServerError { kind, text: format!("scripted {kind:?}") }
}

/// A 500 or 503.
pub fn broken() -> ServerError {
    error(ServerErrorKind::Retryable { retry_after: None, outcome_unknown: false })
}

/// A connection that was cut off before the answer.
pub fn cut_off() -> ServerError {
    error(ServerErrorKind::Retryable { retry_after: None, outcome_unknown: true })
}

/// A 409.
pub fn lost() -> ServerError {
    error(ServerErrorKind::Lost)
}

/// Everything that a lease needs, in memory.
pub struct Rig {
    pub server: Arc<ScriptedServer>,
    pub runners: Arc<FakeRunners>,
    pub context: LeaseContext,
    pub records: TaskRecords,
    _root: tempfile::TempDir,
}

impl Rig {
    /// With this runner.
    pub async fn new<F>(run: impl Fn(RunnerCall) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), RunFailure>> + Send + 'static,
    {
        let root = tempfile::tempdir().unwrap();
        let server = Arc::new(ScriptedServer::default());
        let runners = Arc::new(FakeRunners::new(run));
        let context = LeaseContext {
            server: server.clone(),
            runners: runners.clone(),
            storages: Arc::new(FakeStorages),
            work_dirs: Arc::new(WorkDirs::open(root.path().to_owned()).await.unwrap()),
            settings: LeaseSettings::default(),
            give_back: CancellationToken::new(),
        };
        Self { server, runners, context, records: TaskRecords::default(), _root: root }
    }

    /// Works one lease off.
    pub async fn work(&self, lease: Lease) -> Ended {
        let record = self.records.begin(&lease);
        Session::new(self.context.clone(), lease, Instant::now()).run(record).await
    }

    /// How many task directories there are.
    pub fn task_dirs(&self) -> usize {
        let entries = std::fs::read_dir(self.context.work_dirs.path()).unwrap();
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("task-"))
            .count()
    }
}

/// A failure with this reason.
pub fn failure(reason: &str) -> RunFailure {
    RunFailure { kind: FailureKind::RunnerError, reason: reason.to_owned(), details: Value::Null }
}
