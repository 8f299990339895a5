//! What a node knows of runners: that one can be picked for a capability, and that it can be run.
//!
//! The plugin host is the one implementation in the product. Whoever leases tasks knows nothing of
//! WebAssembly.

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

/// The live runners of a node.
pub trait Runners: Send + Sync {
    /// The capabilities that a live runner serves; changes as runners come and go.
    fn capabilities(&self) -> watch::Receiver<BTreeSet<String>>;

    /// The runner for a capability; none if no live runner serves it. The runner that is returned keeps
    /// its code, limits and grants for as long as it is referenced, whatever is swapped meanwhile.
    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>>;

    /// The most that the next task may use, whichever live runner it is for.
    fn needs(&self) -> RunnerNeeds {
        RunnerNeeds::default()
    }

    /// Why live runners get no new task though nothing is wrong with their files, a bounded text for each: they have
    /// failed again and again. Their capabilities are not among [`Runners::capabilities`].
    fn suspended(&self) -> Vec<String> {
        Vec::new()
    }

    /// How many runners could not be ended and still hold a thread now. Falls again when such a thread
    /// is released; above 0 the node is not ready.
    fn stuck(&self) -> usize;
}

/// What a task may use of the machine at most, by the limits of its runner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunnerNeeds {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes in the task's directory.
    pub scratch_bytes: u64,
    /// Files in the task's directory.
    pub scratch_files: u64,
}

impl RunnerNeeds {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            scratch_bytes: self.scratch_bytes.max(other.scratch_bytes),
            scratch_files: self.scratch_files.max(other.scratch_files),
        }
    }
}

/// One generation of a runner.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Name, version and generation, for logs: `pointcloud 0.1.0 #3`.
    fn label(&self) -> String;

    /// Its name alone, the same for each generation: `pointcloud`. By it metrics tell runners apart.
    fn name(&self) -> String {
        self.label()
    }

    /// SHA-256 of the file that it was made from, in hex; none if there is no such file. By it the same code is found again
    /// after a restart.
    fn digest(&self) -> Option<String> {
        None
    }

    /// The most that one task may use: the runner's limits.
    fn needs(&self) -> RunnerNeeds {
        RunnerNeeds::default()
    }

    /// Runs one task to its end. Ends by itself within the runner's deadline, and soon after
    /// [`Reports::stop`]; never panics. Dropping the future ends the runner at once.
    ///
    /// # Errors
    /// When the runner fails or is ended; the kind says whose fault it is.
    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure>;
}

/// Everything that one run needs.
#[derive(Clone)]
pub struct RunnerCall {
    /// The task that the runner works on.
    pub task: Task,
    /// Where the task's inputs are read.
    pub inputs: Arc<dyn InputPort>,
    /// Where the task's artifacts are written.
    pub outputs: Arc<dyn OutputPort>,
    /// Takes progress and events, and says whether the runner should stop.
    pub reports: Reports,
    /// The task's private directory; the runner sees its subdirectories `sandbox`, `inputs` and `tmp`.
    pub disk: TaskDisk,
    /// The file for what the runner prints, which outlives the task; not yet created. None: the output
    /// is not kept.
    pub log_file: Option<PathBuf>,
}
