//! Tasks of a scene: how they are submitted and awaited, and what must hold when one has ended.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, FaultId, RequestRecord, TaskState, TaskStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::guests::Guest;
use crate::process::NodeProcess;
use crate::scene::{Scene, TIMEOUT};

/// A devnet whose leases expire after this time, and are checked often enough for short times.
pub fn leases_of(ttl: Duration) -> DevnetConfig {
    DevnetConfig { lease_ttl: ttl, sweep_interval: Duration::from_millis(100), ..DevnetConfig::default() }
}

impl Scene {
    /// Gives the node a test guest as a further runner; to be called before the node starts.
    #[must_use]
    pub fn serving(self, guest: Guest) -> Self {
        std::fs::copy(guest.path(), self.plugins().join(format!("{}.wasm", guest.name)))
            .unwrap_or_else(|error| panic!("copying {}: {error}", guest.name));
        self.warm_again();
        self
    }

    /// Submits a job of one task, with a label and a stage if it has none; returns the id of the task.
    pub fn submit_task(&self, mut task: Value) -> Uuid {
        for field in ["label", "stage"] {
            if task[field].is_null() {
                task[field] = "test".into();
            }
        }
        self.devnet.submit_job(json!({"label": "test", "tasks": [task]})).expect("a job").tasks[0]
    }

    /// Submits a job of one task with this number of attempts; returns the ids of the job and the task.
    pub fn submit(&self, capability: &str, meta: &Value, max_attempts: u32) -> (Uuid, Uuid) {
        let task = json!({"label": "t", "stage": "t", "capability": capability, "meta": meta,
                          "max_attempts": max_attempts});
        let job = self.devnet.submit_job(json!({"label": "scene", "tasks": [task]})).expect("a job");
        (job.id, job.tasks[0])
    }

    /// The current state of a task.
    pub fn task(&self, task: Uuid) -> TaskState {
        self.devnet.task(task).expect("a task that was submitted")
    }

    /// The requests that a fault was applied to.
    pub fn hit_by(&self, fault: FaultId) -> Vec<RequestRecord> {
        self.devnet.requests().into_iter().filter(|request| request.faults.contains(&fault)).collect()
    }

    /// Waits until a fault was applied to this many requests and all of them have ended; returns them.
    pub async fn wait_for_hits(
        &self,
        fault: FaultId,
        count: usize,
        node: &NodeProcess,
    ) -> Vec<RequestRecord> {
        let found = || {
            let hit = self.hit_by(fault);
            Some(hit).filter(|hit| hit.len() >= count && hit.iter().all(|request| request.took.is_some()))
        };
        self.wait_until(&format!("{count} hits"), node, found).await
    }

    /// Waits until the discovery service has taken a registration with all of these capabilities: their runners are live, and
    /// the node has nothing more to register.
    pub async fn wait_for_registered(&self, capabilities: &[&str], node: &NodeProcess) {
        let has_all = |taken: &[String]| capabilities.iter().all(|one| taken.iter().any(|has| has == one));
        let found = || self.devnet.registrations().iter().any(|one| has_all(&one.capabilities)).then_some(());
        self.wait_until(&format!("a registration with {capabilities:?}"), node, found).await;
    }

    /// Waits until a task is running.
    pub async fn wait_for_running(&self, task: Uuid, node: &NodeProcess) -> TaskState {
        let running = || Some(self.task(task)).filter(|task| task.status == TaskStatus::Running);
        self.wait_until("a running task", node, running).await
    }

    /// Waits until `look` returns a value, and returns it.
    pub async fn wait_until<T>(&self, what: &str, node: &NodeProcess, look: impl FnMut() -> Option<T>) -> T {
        let found = self.devnet.wait_until(TIMEOUT, what, look).await;
        found.unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()))
    }

    /// Waits for a request to an endpoint after the request with this number.
    pub async fn wait_for_after(&self, endpoint: Endpoint, seq: u64, node: &NodeProcess) -> RequestRecord {
        let found = || self.requests(endpoint).into_iter().find(|request| request.seq > seq);
        self.wait_until(&format!("{endpoint:?} after request {seq}"), node, found).await
    }

    /// The requests about a task in their order, as the last word of their paths: `heartbeat`, `complete`,
    /// `fail`.
    pub fn words_about(&self, task: Uuid) -> Vec<String> {
        let about = format!("/tasks/{task}/");
        let requests = self.devnet.requests();
        let words = requests.iter().filter_map(|request| request.path.split_once(&about));
        words.map(|(_, word)| word.to_owned()).collect()
    }

    /// Runs a short task to see that the node still works, and stops the node.
    pub async fn assert_goes_on(&self, mut node: NodeProcess) {
        let next = self.submit_noop(Duration::ZERO);
        let ended = self.wait_for_end(next, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "the node goes on\n{}", node.log());
        assert_eq!(node.terminate().await, 0, "{}", node.log());
    }
}

/// Asserts what must hold of every task that has ended: each lease ended once, and a completed task has one
/// completion. The lease of a cancelled task may have no end.
pub fn assert_ended_once(task: &TaskState, node: &NodeProcess) {
    let about = || format!("{task:?}\n{}", node.log());
    let reported = task.completions.len() + task.failures.len();
    let ends = reported + usize::try_from(task.expired_leases).expect("a small number");
    match task.status {
        TaskStatus::Completed => assert_eq!(task.completions.len(), 1, "completed once: {}", about()),
        TaskStatus::Failed | TaskStatus::Canceled => assert!(task.completions.is_empty(), "{}", about()),
        TaskStatus::Queued | TaskStatus::Leased | TaskStatus::Running => panic!("not ended: {}", about()),
    }
    if task.status == TaskStatus::Canceled {
        assert!(ends <= task.leases.len(), "no lease ends twice: {}", about());
    } else {
        assert_eq!(ends, task.leases.len(), "every lease ends once: {}", about());
    }
}
