//! Section 6: the domain server. A runner copies its inputs to artifacts, so that each byte passes twice;
//! what arrives is compared with what was sent.

mod disk;
mod download;
mod input;
mod record;
mod session;
mod stall;
mod upload;

use posemesh_devnet::{
    DataItem, DevnetConfig, Endpoint, Failure, Fault, RequestRecord, TaskState, TaskStatus,
};
use posemesh_tests::guests::COPY;
use posemesh_tests::{NodeProcess, Scene, assert_ended_once};
use serde_json::json;
use uuid::Uuid;

/// A node that copies, and its servers.
struct Copying {
    scene: Scene,
    node: NodeProcess,
}

/// How one copy ended.
struct Copied {
    task: TaskState,
    /// What was stored, in that order, with its bytes.
    stored: Vec<(DataItem, Vec<u8>)>,
    /// The requests to the domain server, in their order.
    requests: Vec<RequestRecord>,
}

impl Copying {
    /// With a devnet of this kind.
    async fn with(config: DevnetConfig) -> Self {
        Self::on(Scene::with(config).await.serving(COPY)).await
    }

    /// On a scene that serves what is to copy.
    async fn on(scene: Scene) -> Self {
        let node = scene.node();
        scene.wait_for_work_wanted(&node).await;
        Self { scene, node }
    }

    async fn new() -> Self {
        Self::with(DevnetConfig::default()).await
    }

    /// Has an input copied while a fault is on.
    async fn copy(&self, bytes: &[u8], fault: impl Into<Option<Fault>>) -> Copied {
        let name = format!("input-{}", Uuid::new_v4().simple());
        let input = self.scene.devnet.put_data(&name, "bin", bytes).await.expect("an input");
        self.copy_of(&input.to_string(), fault).await
    }

    /// The same of an input that is there, or not.
    async fn copy_of(&self, cid: &str, fault: impl Into<Option<Fault>>) -> Copied {
        self.run(COPY.capability, &[cid], fault).await
    }

    /// Has a runner work on these inputs while a fault is on.
    async fn run(&self, capability: &str, cids: &[&str], fault: impl Into<Option<Fault>>) -> Copied {
        let devnet = &self.scene.devnet;
        let before = devnet.requests().len();
        let known: Vec<Uuid> = devnet.list_data().iter().map(|item| item.id).collect();
        let fault = fault.into().map(|fault| devnet.faults().add(fault));
        let task = json!({"label": "t", "stage": "t", "capability": capability, "inputs_cids": cids,
                          "max_attempts": 1});
        let job = devnet.submit_job(json!({"label": "copy", "tasks": [task]})).expect("a job");
        let task = self.scene.wait_for_end(job.tasks[0], &self.node).await;
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
    /// Asserts that it went well and that the artifact is the input, byte for byte.
    fn assert_is(&self, input: &[u8], node: &NodeProcess) {
        assert_eq!(self.task.status, TaskStatus::Completed, "{:?}\n{}", self.task, node.log());
        let [(_, bytes)] = self.stored.as_slice() else { panic!("one artifact: {:?}", self.task) };
        assert!(bytes == input, "the artifact differs from the input");
    }

    /// Asserts that it failed, with nothing stored, for a reason that says all of this.
    fn assert_failed(&self, said: &[&str], node: &NodeProcess) {
        assert_eq!(self.task.status, TaskStatus::Failed, "{:?}\n{}", self.task, node.log());
        let reason = &self.fail().reason;
        for word in said {
            assert!(reason.contains(word), "{word:?} is not in: {reason}");
        }
        assert!(self.stored.is_empty(), "nothing is stored of what failed");
    }

    fn fail(&self) -> &Failure {
        self.task.failures.last().expect("a fail")
    }

    /// How often an endpoint was called.
    fn count(&self, endpoint: Endpoint) -> usize {
        self.of(endpoint).len()
    }

    /// The requests to an endpoint, without those that a rotation of the token has overtaken: a heartbeat
    /// can be answered while they are on their way, and they are repeated at once.
    fn of(&self, endpoint: Endpoint) -> Vec<&RequestRecord> {
        let overtaken = |request: &RequestRecord| request.status == Some(401) && request.faults.is_empty();
        self.requests
            .iter()
            .filter(|request| request.endpoint == Some(endpoint) && !overtaken(request))
            .collect()
    }
}

/// Bytes that repeat nowhere soon, with boundary look-alikes in them.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|at| ((at * 31) ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    for (at, text) in [(10, "\r\n--"), (100, "\r\n--boundary"), (200, "\r\n\r\n--boundary--\r\n")] {
        if let Some(place) = bytes.get_mut(at..at + text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
    }
    bytes
}
