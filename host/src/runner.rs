//! What the engine knows of runners: that one can be picked for a capability, and that it can be run.
//!
//! The plugin host ([`crate::plugin`]) is the one implementation in the product. The engine knows
//! nothing of WebAssembly.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use crate::disk::TaskDisk;
use crate::ports::{InputPort, OutputPort};
use crate::report::Reports;
use crate::task::Task;

/// The live runners.
pub trait Runners: Send + Sync {
    /// The capabilities that are served now; changes as runners come and go.
    fn capabilities(&self) -> watch::Receiver<BTreeSet<String>>;

    /// The runner for a capability. What is returned stays the same code, limits and grants for as
    /// long as it is held, whatever is swapped meanwhile.
    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>>;
}

/// One generation of a runner.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Name, version and generation, for logs: `pointcloud 0.1.0 #3`.
    fn label(&self) -> String;

    /// Runs one task to its end. Ends by itself within the deadline that the runner has, and soon
    /// after [`Reports::stop`]; never panics. Dropping the future ends the runner at once.
    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure>;
}

/// Everything a run needs.
pub struct RunnerCall {
    /// The task.
    pub task: Task,
    /// Where its inputs come from.
    pub inputs: Arc<dyn InputPort>,
    /// Where its artifacts go.
    pub outputs: Arc<dyn OutputPort>,
    /// What it reports, and whether it should stop.
    pub reports: Reports,
    /// The task's private directory; the runner sees what is below `sandbox` and `inputs` in it.
    pub disk: TaskDisk,
    /// Where what the runner prints is kept beyond the task; it is not there yet. None: nowhere.
    pub log_file: Option<PathBuf>,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct RunFailure {
    /// What kind of failure, as a stable word: `runner_error`, `invalid_input`, `trap`, `limit`,
    /// `deadline`, `cancelled`, `host`...
    pub kind: &'static str,
    /// One line with the cause chain; goes into the `reason` of `fail` (protocol 3.6), bounded.
    pub reason: String,
    /// More for `fail.details`: backtrace, limit, last output. An object, bounded.
    pub details: Value,
}
