//! What every lease of a node works with.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::workdir::WorkDirs;
use crate::heartbeat::policy::HeartbeatPolicy;
use crate::lease::server::{Lease, LeaseServer};
use posemesh_domain_client::Traffic;
use posemesh_domain_client::token::TaskToken;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{InputPort, OutputPort};
use posemesh_runner_api::reports::ReportLimits;
use posemesh_runner_api::runner::Runners;

/// The two doors to a task's data, and who counts what passes.
#[derive(Clone)]
pub struct TaskPorts {
    /// Where its inputs come from.
    pub inputs: Arc<dyn InputPort>,
    /// Where its artifacts go.
    pub outputs: Arc<dyn OutputPort>,
    /// What goes through them, counted.
    pub traffic: Arc<Traffic>,
}

/// Makes the ports of a task.
pub trait Storages: Send + Sync {
    /// Opens the domain that the lease names, with the lease's token. `stop` fires when the task is to stop;
    /// what waits in a port ends then. `disk` is for what has to wait. No network, no waiting.
    ///
    /// # Errors
    /// When the lease lacks `domain_id` or `domain_server_url`, or they can't be used; the text goes into
    /// `fail` (protocol 3.6, stage `build_ports`).
    fn open(
        &self,
        lease: &Lease,
        token: Arc<TaskToken>,
        stop: CancellationToken,
        disk: TaskDisk,
    ) -> Result<TaskPorts, String>;
}

/// How leases are worked off.
#[derive(Debug, Clone, Copy)]
pub struct LeaseSettings {
    /// When heartbeats are sent.
    pub heartbeat: HeartbeatPolicy,
    /// How much may wait for a heartbeat.
    pub report_limits: ReportLimits,
    /// How long a runner may take to end after it was told to; then it is dropped. Longer than a runner's
    /// host needs to end it by its own means, or to say that it can't be ended.
    pub stop_grace: Duration,
    /// How long the end of a lease is tried to be told while heartbeats do get through. A server that
    /// takes those and never this keeps a worker no longer than that.
    pub finish_patience: Duration,
    /// The same once the node gives its work back.
    pub give_back_patience: Duration,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            heartbeat: HeartbeatPolicy::default(),
            report_limits: ReportLimits::default(),
            stop_grace: Duration::from_secs(20),
            finish_patience: Duration::from_secs(15 * 60),
            give_back_patience: Duration::from_secs(10),
        }
    }
}

/// What every lease of a node works with.
#[derive(Clone)]
pub struct LeaseContext {
    /// The job server.
    pub server: Arc<dyn LeaseServer>,
    /// The live runners.
    pub runners: Arc<dyn Runners>,
    /// The way to the data.
    pub storages: Arc<dyn Storages>,
    /// Where tasks have their private directories.
    pub work_dirs: Arc<WorkDirs>,
    /// How.
    pub settings: LeaseSettings,
    /// Fires when the node gives back what it has not finished.
    pub give_back: CancellationToken,
}
