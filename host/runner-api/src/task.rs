//! The unit of work, as every part of the node sees it (protocol 3.3 `task`).

use serde_json::Value;
use uuid::Uuid;

/// A leased task. The DMS client makes it of the wire form; runners see it through the WIT.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The task's id.
    pub id: Uuid,
    /// The job that it is part of.
    pub job_id: Option<Uuid>,
    /// The domain whose data it works on (from the lease envelope).
    pub domain_id: Option<Uuid>,
    /// The capability it wants; one of the node's.
    pub capability: String,
    /// What else the submitter asked of the node; null when nothing.
    pub capability_filters: Value,
    /// The inputs: data ids or data URLs.
    pub inputs_cids: Vec<String>,
    /// What is put before every artifact's path.
    pub outputs_prefix: Option<String>,
    /// What the submitter calls it.
    pub label: Option<String>,
    /// The stage of the job that it belongs to.
    pub stage: Option<String>,
    /// The runner's parameters; null when none.
    pub meta: Value,
    /// How often it was tried before.
    pub attempts: Option<u32>,
    /// How often it may be tried.
    pub max_attempts: Option<u32>,
}

impl Task {
    /// A task with nothing but an id and a capability, for runs by hand and for tests.
    pub fn new(id: Uuid, capability: impl Into<String>) -> Self {
        Self {
            id,
            job_id: None,
            domain_id: None,
            capability: capability.into(),
            capability_filters: Value::Null,
            inputs_cids: Vec::new(),
            outputs_prefix: None,
            label: None,
            stage: None,
            meta: Value::Null,
            attempts: None,
            max_attempts: None,
        }
    }
}
