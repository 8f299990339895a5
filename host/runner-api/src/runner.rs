//! What the engine knows of runners: that one can be picked for a capability, and that it can be run.
//!
//! The plugin host ([`posemesh_plugin_host`]) is the one implementation in the product. The engine knows
//! nothing of WebAssembly.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::disk::TaskDisk;
use crate::failure::RunFailure;
use crate::ports::{InputPort, OutputPort};
use crate::reports::Reports;
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
