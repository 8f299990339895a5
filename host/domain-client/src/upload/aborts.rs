//! Requests that outlive the upload that began them: sessions that are being begun or aborted.

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Keeps track of such requests for the task, which waits for them before its end is reported, and for the node, which
/// waits before it exits.
#[derive(Debug, Clone)]
pub(crate) struct AbortTracker {
    of_task: TaskTracker,
    of_node: TaskTracker,
}

impl AbortTracker {
    /// A tracker for one more task of the node.
    pub(crate) fn new(of_node: TaskTracker) -> Self {
        Self { of_task: TaskTracker::new(), of_node }
    }

    /// Runs a request in the background. `runtime` is named by the caller, since the last owner of an upload may be
    /// dropped on a thread that has none.
    pub(super) fn spawn(&self, runtime: &Handle, request: impl Future<Output = ()> + Send + 'static) {
        self.of_node.spawn_on(self.of_task.track_future(request), runtime);
    }

    /// Waits until none of the task's requests is left. Each of them ends by a timeout.
    pub(crate) async fn wait(&self) {
        // A tracker that is not closed never counts as finished, even when it is empty.
        self.of_task.close();
        self.of_task.wait().await;
    }
}
