//! Jobs and tasks.

use std::time::Instant;

use serde_json::Value;
use uuid::Uuid;

use crate::devnet::Devnet;
use crate::dms::jobs;
use crate::dms::submit::{self, JobRequest};
use crate::error::DevnetError;
use crate::response::ApiError;
use crate::state::task_records::{HeartbeatRecord, SubmittedJob, TaskState};
use crate::sweep::sweep;

impl Devnet {
    /// Submits a job, in the JSON that `POST /jobs` accepts (protocol 3.7). Without a `domain_id` it is for
    /// [`Devnet::domain_id`].
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if the job API would have refused the job.
    pub fn submit_job(&self, job: Value) -> Result<SubmittedJob, DevnetError> {
        let mut request: JobRequest = serde_path_to_error::deserialize(job)
            .map_err(|error| ApiError::bad_request(format!("invalid job: {error}")))?;
        request.domain_id.get_or_insert(self.domain_id());
        Ok(submit::submit(&self.servers, request)?)
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if there is no such job, or it has ended.
    pub fn cancel_job(&self, job: Uuid) -> Result<(), DevnetError> {
        jobs::cancel_job(&self.servers, job)?;
        Ok(())
    }

    /// Forgets a job with its tasks. What is asked of a long run with many jobs stays fast then.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if there is no such job, or one of its tasks is leased.
    pub fn delete_job(&self, job: Uuid) -> Result<(), DevnetError> {
        jobs::delete_job(&self.servers, job)?;
        Ok(())
    }

    /// The status of a job as in JSON (protocol 3.7); none if there is no such job.
    pub fn job_status(&self, job: Uuid) -> Option<&'static str> {
        let state = self.servers.queue.state();
        state.jobs.get(&job).map(|job| state.job_status(job))
    }

    /// A task as it is now; none if there is no such task.
    pub fn task(&self, task: Uuid) -> Option<TaskState> {
        self.servers.queue.task(task)
    }

    /// The heartbeats that arrived for a task, in order.
    pub fn heartbeats(&self, task: Uuid) -> Vec<HeartbeatRecord> {
        self.servers.queue.heartbeats(task)
    }

    /// Expires the lease of a task at once; false if it has none.
    pub fn expire_lease(&self, task: Uuid) -> bool {
        let leased = {
            let mut state = self.servers.queue.state();
            let lease = state.tasks.get_mut(&task).and_then(|task| task.lease.as_mut());
            lease.map(|lease| lease.expires = Instant::now()).is_some()
        };
        self.sweep();
        leased
    }

    /// Ends what has expired now, without waiting for [`crate::DevnetConfig::sweep_interval`].
    pub fn sweep(&self) {
        sweep(&self.servers);
    }
}
