//! The job server: jobs of tasks, leased to workers one by one (protocol section 3).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use uuid::Uuid;

pub(crate) mod jobs;
pub(crate) mod lease;
pub(crate) mod model;
pub(crate) mod record;
pub(crate) mod submit;
pub(crate) mod tasks;
pub(crate) mod wire;

use model::{Job, Receipt, Task};
use record::{Failure, HeartbeatRecord, TaskState, TaskStatus};

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) jobs: HashMap<Uuid, Job>,
    pub(crate) tasks: HashMap<Uuid, Task>,
    pub(crate) receipts: Vec<Receipt>,
    /// When each worker last asked for work.
    pub(crate) polls: HashMap<Uuid, Instant>,
    /// Jobs by their `Idempotency-Key`.
    pub(crate) by_key: HashMap<String, Uuid>,
    next: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Dms {
    state: Mutex<State>,
}

impl Dms {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn task(&self, id: Uuid) -> Option<TaskState> {
        let state = self.state();
        state.tasks.get(&id).map(|task| state.snapshot(task))
    }

    pub(crate) fn heartbeats(&self, id: Uuid) -> Vec<HeartbeatRecord> {
        self.state().tasks.get(&id).map(|task| task.heartbeats.clone()).unwrap_or_default()
    }
}

impl State {
    /// A number higher than all before: what came first goes first.
    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// How many of a task's dependencies are still to be completed.
    pub(crate) fn deps_remaining(&self, task: &Task) -> usize {
        let open = |id: &&Uuid| self.tasks.get(id).is_some_and(|dep| dep.status != TaskStatus::Completed);
        task.deps.iter().filter(open).count()
    }

    /// What is told of a task inside the process.
    pub(crate) fn snapshot(&self, task: &Task) -> TaskState {
        TaskState {
            id: task.id,
            job_id: task.job_id,
            domain_id: task.domain_id,
            label: task.label.clone(),
            stage: task.stage.clone(),
            capability: task.capability.clone(),
            status: task.status,
            attempts: task.attempts,
            max_attempts: task.max_attempts,
            deps_remaining: self.deps_remaining(task),
            leases: task.leases.clone(),
            expired_leases: task.expired_leases,
            leased_by: task.live_lease().map(|lease| lease.worker),
            progress: task.progress.clone(),
            events: task.events.clone(),
            heartbeats: task.heartbeats.len(),
            completions: task.completions.clone(),
            failures: task.failures.clone(),
        }
    }

    /// Ends a job's tasks that can't be started any more because what they wait for did not succeed.
    pub(crate) fn cancel_unreachable(&mut self, job_id: Uuid) {
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

    /// Takes a task's lease away after a failed attempt: it is queued again while attempts remain. Gives
    /// the task token to be retired.
    pub(crate) fn end_attempt(&mut self, id: Uuid, failure: Option<Failure>) -> Option<String> {
        let task = self.tasks.get_mut(&id)?;
        let lease = task.lease.take();
        if failure.is_none() {
            task.expired_leases += 1;
        }
        let again = task.attempts < task.max_attempts;
        task.status = if again { TaskStatus::Queued } else { TaskStatus::Failed };
        let worker = lease.as_ref().map(|lease| lease.worker);
        let meta = failure.as_ref().map(Failure::to_json).unwrap_or_default();
        task.failures.extend(failure);
        let (job_id, task_id) = (task.job_id, task.id);
        if !again {
            self.receipts.push(Receipt::new(job_id, task_id, worker, Vec::new(), meta));
            self.cancel_unreachable(job_id);
        }
        lease.map(|lease| lease.token)
    }
}
