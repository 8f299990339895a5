//! Waiting for tasks and requests. Every change of the servers wakes the waiting test; nothing is polled.

use std::time::Duration;

use uuid::Uuid;

use crate::devnet::Devnet;
use crate::error::DevnetError;
use crate::request_log::RequestRecord;
use crate::state::task_records::TaskState;

impl Devnet {
    /// Waits until `reached` is true of a task; returns the task.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`] with the state of the task at the end.
    pub async fn wait_for(
        &self,
        task: Uuid,
        timeout: Duration,
        mut reached: impl FnMut(&TaskState) -> bool,
    ) -> Result<TaskState, DevnetError> {
        let waited = self.wait_until(timeout, "a task", || self.task(task).filter(|task| reached(task)));
        waited.await.map_err(|error| match error {
            DevnetError::Timeout { waited_ms, .. } => {
                DevnetError::Timeout { waited_ms, what: format!("a task; it is {:?}", self.task(task)) }
            }
            other => other,
        })
    }

    /// Waits until a task is completed, failed or cancelled; returns the task.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`] with the state of the task at the end.
    pub async fn wait_for_task_end(&self, task: Uuid, timeout: Duration) -> Result<TaskState, DevnetError> {
        self.wait_for(task, timeout, |task| task.status.is_end()).await
    }

    /// Waits for a request that matches, answered or not; returns the first such request.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`].
    pub async fn wait_for_request(
        &self,
        timeout: Duration,
        mut matches: impl FnMut(&RequestRecord) -> bool,
    ) -> Result<RequestRecord, DevnetError> {
        let find = || self.requests().into_iter().find(|request| matches(request));
        self.wait_until(timeout, "a request", find).await
    }

    /// Waits until `look` returns a value, and returns that; `look` is called again after every change.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`], which names `what`.
    pub async fn wait_until<T>(
        &self,
        timeout: Duration,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, DevnetError> {
        let mut changes = self.servers.changes();
        let found = async {
            loop {
                // Marked as seen before looking, so that a change while looking wakes this again.
                changes.borrow_and_update();
                if let Some(found) = look() {
                    return found;
                }
                if changes.changed().await.is_err() {
                    // The sender lives as long as this devnet does.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(timeout, found)
            .await
            .map_err(|_| DevnetError::Timeout { waited_ms: timeout.as_millis(), what: what.to_owned() })
    }
}
