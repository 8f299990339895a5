//! The fixture of section 6: a node that copies, and what came of each copy.

use posemesh_devnet::{
    DataItem, DevnetConfig, Endpoint, Failure, Fault, RequestRecord, TaskState, TaskStatus,
};
use posemesh_tests::guests::COPY;
use posemesh_tests::{NodeProcess, Scene, assert_ended_once};
use serde_json::json;
use uuid::Uuid;

/// A node with a runner that copies, and its servers.
pub(crate) struct Copying {
    pub(crate) scene: Scene,
    pub(crate) node: NodeProcess,
}

/// The end of one copy.
pub(crate) struct Copied {
    pub(crate) task: TaskState,
    /// The artifacts in the order in which they were stored, with their bytes.
    pub(crate) stored: Vec<(DataItem, Vec<u8>)>,
    /// All requests meanwhile, in their order.
    pub(crate) requests: Vec<RequestRecord>,
}

impl Copying {
    /// With a devnet that is configured like this.
    pub(crate) async fn with(config: DevnetConfig) -> Self {
        Self::on(Scene::with(config).await.serving(COPY)).await
    }

    /// On a scene that has the runners already.
    pub(crate) async fn on(scene: Scene) -> Self {
        let node = scene.node();
        scene.wait_for_work_wanted(&node).await;
        Self { scene, node }
    }

    pub(crate) async fn new() -> Self {
        Self::with(DevnetConfig::default()).await
    }

    /// Has these bytes copied while a fault is active.
    pub(crate) async fn copy(&self, bytes: &[u8], fault: impl Into<Option<Fault>>) -> Copied {
        let name = format!("input-{}", Uuid::new_v4().simple());
        let input = self.scene.devnet.put_data(&name, "bin", bytes).await.expect("an input");
        self.copy_of(&input.to_string(), fault).await
    }

    /// Has an input copied that exists, or not.
    pub(crate) async fn copy_of(&self, cid: &str, fault: impl Into<Option<Fault>>) -> Copied {
        self.run(COPY.capability, &[cid], fault).await
    }

    /// Has a task with these inputs executed while a fault is active.
    pub(crate) async fn run(
        &self,
        capability: &str,
        cids: &[&str],
        fault: impl Into<Option<Fault>>,
    ) -> Copied {
        let devnet = &self.scene.devnet;
        let before = devnet.requests().len();
        let known: Vec<Uuid> = devnet.list_data().iter().map(|item| item.id).collect();
        let fault = fault.into().map(|fault| devnet.faults().add(fault));
        let task = json!({"capability": capability, "inputs_cids": cids, "max_attempts": 1});
        let task = self.scene.wait_for_end(self.scene.submit_task(task), &self.node).await;
        if let Some(fault) = fault {
            devnet.faults().remove(fault);
        }
        assert_ended_once(&task, &self.node);
        let mut stored = Vec::new();
        for item in devnet.list_data().into_iter().filter(|item| !known.contains(&item.id)) {
            let bytes = devnet.read_data(item.id).await.expect("the artifact").to_vec();
            stored.push((item, bytes));
        }
        let requests = devnet.requests().split_off(before);
        Copied { task, stored, requests }
    }
}

impl Copied {
    /// Asserts that the task completed and that the artifact equals the input.
    pub(crate) fn assert_is(&self, input: &[u8], node: &NodeProcess) {
        assert_eq!(self.task.status, TaskStatus::Completed, "{:?}\n{}", self.task, node.log());
        let [(_, bytes)] = self.stored.as_slice() else { panic!("one artifact: {:?}", self.task) };
        assert!(bytes == input, "the artifact differs from the input");
    }

    /// Asserts that the task failed, that nothing is stored, and that the reason contains these texts.
    pub(crate) fn assert_failed(&self, said: &[&str], node: &NodeProcess) {
        assert_eq!(self.task.status, TaskStatus::Failed, "{:?}\n{}", self.task, node.log());
        let reason = &self.fail().reason;
        for word in said {
            assert!(reason.contains(word), "{word:?} is not in: {reason}");
        }
        assert!(self.stored.is_empty(), "a failed task stores nothing");
    }

    pub(crate) fn fail(&self) -> &Failure {
        self.task.failures.last().expect("a fail")
    }

    /// Number of requests to an endpoint, see [`of`](Self::of).
    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.of(endpoint).len()
    }

    /// The requests to an endpoint, without those that a rotation of the token overtook: a heartbeat can be
    /// answered while they are under way; they are refused and repeated at once.
    pub(crate) fn of(&self, endpoint: Endpoint) -> Vec<&RequestRecord> {
        let overtaken = |request: &RequestRecord| request.status == Some(401) && request.faults.is_empty();
        self.requests
            .iter()
            .filter(|request| request.endpoint == Some(endpoint) && !overtaken(request))
            .collect()
    }
}

/// Bytes without a short period, which contain texts that look like a boundary.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|at| ((at * 31) ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    for (at, text) in [(10, "\r\n--"), (100, "\r\n--boundary"), (200, "\r\n\r\n--boundary--\r\n")] {
        if let Some(place) = bytes.get_mut(at..at + text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
    }
    bytes
}
