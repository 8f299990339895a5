//! The wire forms of leases and heartbeat answers (protocol 3.3 and 3.4).
//!
//! What the node acts on is read strictly, what is for information only leniently, and `null` is the same
//! as a missing field throughout: a lease that is not understood is a lease that is lost.

mod task_id;

use posemesh_net::json::{self, JsonError, Timestamp, lenient};
use posemesh_net::secret::Secret;
use posemesh_runner_api::task::Task;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::dms::lease::{DomainServerUrl, HeartbeatAnswer, Lease, LeaseAnswer};

/// The envelope of a lease (protocol 3.3).
#[derive(Deserialize)]
struct LeaseBody {
    task: TaskBody,
    access_token: Option<Secret>,
    // Lenient: without a readable expiry there is a fallback (protocol 4.2), without a lease there is none.
    #[serde(default, deserialize_with = "lenient")]
    lease_expires_at: Option<Timestamp>,
    // Strict: taking a garbled `cancel` for false would run a task that nobody wants any more.
    cancel: Option<bool>,
    domain_id: Option<Uuid>,
    // Any JSON: a bad URL must not make the lease unreadable, or the task could not be failed with the reason.
    domain_server_url: Option<Value>,
}

/// The answer to a heartbeat (protocol 3.4).
#[derive(Deserialize)]
struct HeartbeatAnswerBody {
    access_token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient")]
    lease_expires_at: Option<Timestamp>,
    cancel: Option<bool>,
    domain_id: Option<Uuid>,
    domain_server_url: Option<Value>,
    task: Option<TaskBody>,
    task_id: Option<Uuid>,
    job_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    attempts: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    max_attempts: Option<u32>,
}

/// The task in a lease or in a heartbeat's answer (protocol 3.3).
#[derive(Deserialize)]
struct TaskBody {
    id: Uuid,
    job_id: Option<Uuid>,
    capability: String,
    capability_filters: Option<Value>,
    // Strict: a runner that got fewer inputs than were meant would do the wrong work and call it done.
    inputs_cids: Option<Vec<String>>,
    outputs_prefix: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    label: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    stage: Option<String>,
    meta: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    attempts: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    max_attempts: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    lease_expires_at: Option<Timestamp>,
}

/// Reads the body of a 2xx to `GET /tasks`.
pub(super) fn decode_lease(body: &[u8], server_date: Option<OffsetDateTime>) -> LeaseAnswer {
    match json::from_body::<LeaseBody>(body) {
        Ok(lease) => LeaseAnswer::Lease(Box::new(lease.into_lease(server_date))),
        Err(error) => LeaseAnswer::Unreadable { task_id: find_task_id(body), error: error.to_string() },
    }
}

/// Reads the body of a 2xx to a heartbeat.
pub(super) fn decode_heartbeat_answer(
    body: &[u8],
    server_date: Option<OffsetDateTime>,
) -> Result<HeartbeatAnswer, JsonError> {
    let body: HeartbeatAnswerBody = json::from_body(body)?;
    Ok(HeartbeatAnswer {
        access_token: body.access_token,
        lease_expires_at: body.lease_expires_at.map(|at| at.0),
        server_date,
        cancel: body.cancel.unwrap_or(false),
        domain_id: body.domain_id,
        domain_server_url: domain_server_url(body.domain_server_url),
        // A task names no domain itself: the envelope's is its domain, and `merge_into` supplies the lease's.
        task: body.task.map(|task| task.into_task(body.domain_id)),
        task_id: body.task_id,
        job_id: body.job_id,
        attempts: body.attempts,
        max_attempts: body.max_attempts,
    })
}

impl LeaseBody {
    fn into_lease(self, server_date: Option<OffsetDateTime>) -> Lease {
        Lease {
            access_token: self.access_token,
            // The task carries the end of its lease too; it stands in when the envelope says nothing.
            lease_expires_at: self.lease_expires_at.or(self.task.lease_expires_at).map(|at| at.0),
            server_date,
            cancel: self.cancel.unwrap_or(false),
            domain_server_url: domain_server_url(self.domain_server_url),
            task: self.task.into_task(self.domain_id),
        }
    }
}

impl TaskBody {
    fn into_task(self, domain_id: Option<Uuid>) -> Task {
        Task {
            id: self.id,
            job_id: self.job_id,
            domain_id,
            capability: self.capability,
            capability_filters: self.capability_filters.unwrap_or(Value::Null),
            inputs_cids: self.inputs_cids.unwrap_or_default(),
            outputs_prefix: self.outputs_prefix,
            label: self.label,
            stage: self.stage,
            meta: parameters(self.meta.unwrap_or(Value::Null)),
            attempts: self.attempts,
            max_attempts: self.max_attempts,
        }
    }
}

/// The parameters as the submitter gave them. DMS keeps the progress and the events of earlier attempts in
/// the same object (protocol 3.4); a runner that accepts no unknown field would fail at the second attempt.
fn parameters(mut meta: Value) -> Value {
    if let Value::Object(fields) = &mut meta {
        fields.remove("progress");
        fields.remove("events");
    }
    meta
}

/// A lease with a bad URL is still a lease: the task can be failed with the reason.
fn domain_server_url(value: Option<Value>) -> DomainServerUrl {
    let Some(value) = value else { return DomainServerUrl::Missing };
    match value.as_str().and_then(|text| Url::parse(text).ok()) {
        // Other schemes and URLs without a host parse as well, but no request can be made to them.
        Some(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            DomainServerUrl::Valid(url)
        }
        _ => DomainServerUrl::Invalid,
    }
}

/// The task's id in a lease that can't be read or did not arrive whole (protocol 3.3).
pub(super) fn find_task_id(body: &[u8]) -> Option<Uuid> {
    let Ok(object) = json::parse(body) else { return task_id::find(body) };
    // `task_id` counts in whole JSON only: of a body that was cut off, a `task` might still have followed.
    let id = object.pointer("/task/id").or_else(|| object.get("task_id"));
    id.and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok())
}

#[cfg(test)]
mod tests;
