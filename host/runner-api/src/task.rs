//! The unit of work, as every part of the node sees it (protocol 3.3 `task`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::json_text::JsonText;

/// A leased task. The DMS client makes it of the wire form; runners see it through the WIT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Identifies the task in all calls to the job server.
    pub id: Uuid,
    /// The job that the task is part of.
    pub job_id: Option<Uuid>,
    /// The domain whose data the task works on, as the lease names it. Storage needs one.
    pub domain_id: Option<Uuid>,
    /// What a runner must be able to do, such as `/posemesh/pointcloud/v1`.
    pub capability: String,
    /// Further demands of the submitter, for the runner, as they were written; null when there are none.
    pub capability_filters: JsonText,
    /// The inputs: data ids or data URLs (protocol 6.4).
    pub inputs_cids: Vec<String>,
    /// Put before the path of every artifact (protocol 6.10).
    pub outputs_prefix: Option<String>,
    /// The submitter's name for the task.
    pub label: Option<String>,
    /// The stage of the job that the task belongs to; edges between stages order a job's tasks.
    pub stage: Option<String>,
    /// The runner's parameters, as the submitter wrote them; null when there are none.
    pub meta: JsonText,
    /// Earlier attempts, on any node.
    pub attempts: Option<u32>,
    /// Attempts after which the task has failed for good.
    pub max_attempts: Option<u32>,
}

impl Task {
    /// A task with nothing but an id and a capability, for runs by hand and for tests.
    ///
    /// ```
    /// use posemesh_runner_api::task::Task;
    /// use uuid::Uuid;
    ///
    /// let task = Task::new(Uuid::nil(), "/posemesh/noop/v1");
    /// assert!(task.inputs_cids.is_empty() && task.meta.is_null());
    /// ```
    pub fn new(id: Uuid, capability: impl Into<String>) -> Self {
        Self {
            id,
            job_id: None,
            domain_id: None,
            capability: capability.into(),
            capability_filters: JsonText::default(),
            inputs_cids: Vec::new(),
            outputs_prefix: None,
            label: None,
            stage: None,
            meta: JsonText::default(),
            attempts: None,
            max_attempts: None,
        }
    }
}
