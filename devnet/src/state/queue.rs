//! The state of DMS: jobs and their tasks, and what follows for other tasks when one ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;
use uuid::Uuid;

use crate::state::entries::{JobEntry, Receipt, TaskEntry};
use crate::state::task_records::{Failure, HeartbeatRecord, TaskState, TaskStatus};

#[derive(Debug, Default)]
pub(crate) struct QueueState {
    pub(crate) jobs: HashMap<Uuid, JobEntry>,
    pub(crate) tasks: HashMap<Uuid, TaskEntry>,
    pub(crate) receipts: Vec<Receipt>,
    /// Jobs by the `Idempotency-Key` of their submission.
    pub(crate) by_idempotency_key: HashMap<String, Uuid>,
    last_seq: u64,
}

#[derive(Debug, Default)]
pub(crate) struct JobQueue {
    state: Mutex<QueueState>,
}

impl JobQueue {
    pub(crate) fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn task(&self, id: Uuid) -> Option<TaskState> {
        let state = self.state();
        state.tasks.get(&id).map(|task| task.snapshot(state.deps_remaining(task)))
    }

    pub(crate) fn heartbeats(&self, id: Uuid) -> Vec<HeartbeatRecord> {
        self.state().tasks.get(&id).map(|task| task.heartbeats.clone()).unwrap_or_default()
    }
}

impl QueueState {
    /// The next position in the order of submission.
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// How many of a task's dependencies are not completed yet.
    pub(crate) fn deps_remaining(&self, task: &TaskEntry) -> usize {
        let open = |id: &&Uuid| self.tasks.get(id).is_some_and(|dep| dep.status != TaskStatus::Completed);
        task.deps.iter().filter(open).count()
    }

    /// The tasks of a job, in the order in which they were submitted.
    pub(crate) fn tasks_of(&self, job: &JobEntry) -> impl Iterator<Item = &TaskEntry> {
        job.tasks.iter().filter_map(|id| self.tasks.get(id))
    }

    /// The status of a job, which follows from those of its tasks (protocol 3.7).
    pub(crate) fn job_status(&self, job: &JobEntry) -> &'static str {
        let any = |status| self.tasks_of(job).any(|task| task.status == status);
        if job.canceled {
            "canceled"
        } else if !self.tasks_of(job).all(|task| task.status.is_end()) {
            let untouched = self.tasks_of(job).all(|task| task.status == TaskStatus::Queued);
            if untouched { "pending" } else { "running" }
        } else if any(TaskStatus::Failed) {
            "failed"
        } else if any(TaskStatus::Canceled) {
            "canceled"
        } else {
            "completed"
        }
    }

    /// Removes the lease of a task after a failed attempt and queues the task again while attempts remain.
    /// Without a failure, the lease has expired. Returns the task token, which is to be retired.
    pub(crate) fn end_attempt(&mut self, id: Uuid, failure: Option<Failure>) -> Option<String> {
        let task = self.tasks.get_mut(&id)?;
        let lease = task.lease.take();
        if failure.is_none() {
            task.expired_leases += 1;
        }
        let retry = task.attempts < task.max_attempts;
        task.status = if retry { TaskStatus::Queued } else { TaskStatus::Failed };
        let machine = lease.as_ref().map(|lease| lease.machine);
        // What the machine reported; an expired lease has nothing to report.
        let meta = failure.as_ref().map(|failure| json!(failure)).unwrap_or_default();
        task.failures.extend(failure);
        let (job_id, task_id) = (task.job_id, task.id);
        if !retry {
            self.receipts.push(Receipt::new(job_id, task_id, machine, Vec::new(), meta));
            self.cancel_unreachable(job_id);
        }
        lease.map(|lease| lease.token)
    }

    /// Cancels the tasks of a job that can never start, because a task that they depend on did not succeed.
    fn cancel_unreachable(&mut self, job_id: Uuid) {
        // Each round cancels the direct dependents of the round before, until there are none.
        loop {
            let stuck: Vec<Uuid> = self
                .tasks
                .values()
                .filter(|task| task.job_id == job_id && task.status == TaskStatus::Queued)
                .filter(|task| {
                    task.deps.iter().any(|id| {
                        let status = self.tasks.get(id).map(|dep| dep.status);
                        matches!(status, Some(TaskStatus::Failed | TaskStatus::Canceled))
                    })
                })
                .map(|task| task.id)
                .collect();
            if stuck.is_empty() {
                return;
            }
            for id in stuck {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.status = TaskStatus::Canceled;
                }
            }
        }
    }
}
