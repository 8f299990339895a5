//! Everything that a lease needs, put together.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::RunnerCall;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::{Promise, TroubleBoard};
use crate::dms::Lease;
use crate::journal::OrphanedLease;
use crate::lease::{LeaseContext, LeaseSession, LeaseSettings, ReleaseOrder, SessionEnd};
use crate::records::TaskRecords;
use crate::testing::job_server::ScriptedJobServer;
use crate::testing::journal::{FakeAdmission, FakeJournal};
use crate::testing::ports::FakePorts;
use crate::testing::runners::FakeRunners;
use crate::workdir::WorkDirs;

/// A context for leases, and handles on what is behind it.
pub(crate) struct LeaseFixture {
    pub(crate) server: Arc<ScriptedJobServer>,
    pub(crate) runners: Arc<FakeRunners>,
    pub(crate) journal: Arc<FakeJournal>,
    pub(crate) admission: Arc<FakeAdmission>,
    pub(crate) board: TroubleBoard,
    /// Leases that a dead process held.
    pub(crate) orphans: Vec<OrphanedLease>,
    pub(crate) context: LeaseContext,
    pub(crate) records: TaskRecords,
    /// The capabilities that DDS knows of.
    pub(crate) reported: watch::Sender<Option<BTreeSet<String>>>,
    work_dir: tempfile::TempDir,
}

impl LeaseFixture {
    /// With this runner.
    pub(crate) async fn new<F>(run: impl Fn(RunnerCall) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), RunFailure>> + Send + 'static,
    {
        let work_dir = tempfile::tempdir().unwrap();
        let server = Arc::new(ScriptedJobServer::default());
        let runners = Arc::new(FakeRunners::new(run));
        let journal = Arc::new(FakeJournal::default());
        let context = LeaseContext {
            server: server.clone(),
            runners: runners.clone(),
            ports: Arc::new(FakePorts),
            work_dirs: Arc::new(WorkDirs::open(work_dir.path().to_owned(), "test").await.unwrap().0),
            journal: journal.clone(),
            settings: LeaseSettings::default(),
            release: ReleaseOrder::default(),
        };
        Self {
            server,
            runners,
            journal,
            admission: Arc::default(),
            board: TroubleBoard::default(),
            orphans: Vec::new(),
            context,
            records: TaskRecords::default(),
            reported: watch::Sender::new(None),
            work_dir,
        }
    }

    /// Works on one lease to its end.
    pub(crate) async fn work(&self, lease: Lease) -> SessionEnd {
        let record = self.records.begin(&lease);
        LeaseSession::new(self.context.clone(), lease, Instant::now()).run(record, Promise::default()).await
    }

    /// How many task directories there are.
    pub(crate) fn task_dirs(&self) -> usize {
        let processes = std::fs::read_dir(self.work_dir.path()).unwrap().map(|entry| entry.unwrap().path());
        processes
            .filter(|path| path.is_dir())
            .flat_map(|path| std::fs::read_dir(path).unwrap())
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("task-"))
            .count()
    }
}
