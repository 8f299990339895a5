//! The wire forms of leases and heartbeat answers (protocol 3.3 and 3.4).
//!
//! What the node acts on is read strictly, what is for information only leniently, and `null` is the same
//! as a missing field throughout: a lease that is not understood is a lease that is lost.

mod dig;
#[cfg(test)]
mod tests;

use serde_json::Value;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::lease::{DomainServerUrl, HeartbeatAnswer, Lease, LeaseAnswer};
use crate::json::{JsonError, Object};
use crate::task::Task;

/// Reads the body of a 2xx to `GET /tasks`.
pub(super) fn lease(body: &[u8], server_date: Option<OffsetDateTime>) -> LeaseAnswer {
    let read = Object::parse(body).and_then(|object| read_lease(object, server_date));
    match read {
        Ok(lease) => LeaseAnswer::Lease(Box::new(lease)),
        Err(error) => LeaseAnswer::Undecodable { task_id: find_task_id(body), error: error.to_string() },
    }
}

/// Reads the body of a 2xx to a heartbeat.
pub(super) fn heartbeat(
    body: &[u8],
    server_date: Option<OffsetDateTime>,
) -> Result<HeartbeatAnswer, JsonError> {
    let mut object = Object::parse(body)?;
    let domain_id = object.take("domain_id")?;
    let task = object.take::<Object>("task")?.map(|task| read_task(task, domain_id)).transpose()?;
    Ok(HeartbeatAnswer {
        access_token: object.take("access_token")?,
        access_token_expires_at: object.take_lenient("access_token_expires_at"),
        lease_expires_at: object.take_lenient("lease_expires_at"),
        server_date,
        cancel: object.take("cancel")?.unwrap_or(false),
        status: object.take_lenient("status"),
        domain_id,
        domain_server_url: read_url(&mut object),
        task: task.map(|(task, _)| task),
        task_id: object.take("task_id")?,
        job_id: object.take("job_id")?,
        attempts: object.take_lenient("attempts"),
        max_attempts: object.take_lenient("max_attempts"),
        deps_remaining: object.take_lenient("deps_remaining"),
    })
}

fn read_lease(mut object: Object, server_date: Option<OffsetDateTime>) -> Result<Lease, JsonError> {
    let domain_id = object.take("domain_id")?;
    let (task, task_expiry) = read_task(object.require("task")?, domain_id)?;
    Ok(Lease {
        task,
        access_token: object.take("access_token")?,
        access_token_expires_at: object.take_lenient("access_token_expires_at"),
        lease_expires_at: object.take_lenient("lease_expires_at").or(task_expiry),
        server_date,
        cancel: object.take("cancel")?.unwrap_or(false),
        status: object.take_lenient("status"),
        domain_id,
        domain_server_url: read_url(&mut object),
    })
}

/// The task, and the end of its lease as the task itself has it.
fn read_task(
    mut object: Object,
    domain_id: Option<Uuid>,
) -> Result<(Task, Option<OffsetDateTime>), JsonError> {
    let task = Task {
        id: object.require("id")?,
        job_id: object.take("job_id")?,
        domain_id,
        capability: object.require("capability")?,
        capability_filters: object.take("capability_filters")?.unwrap_or(Value::Null),
        inputs_cids: object.take("inputs_cids")?.unwrap_or_default(),
        outputs_prefix: object.take("outputs_prefix")?,
        label: object.take_lenient("label"),
        stage: object.take_lenient("stage"),
        meta: parameters(object.take("meta")?.unwrap_or(Value::Null)),
        attempts: object.take_lenient("attempts"),
        max_attempts: object.take_lenient("max_attempts"),
    };
    Ok((task, object.take_lenient("lease_expires_at")))
}

/// What the submitter gave: DMS keeps the progress and the events of earlier attempts in the same object
/// (protocol 3.4). A runner that takes no fields it does not know would fail at every second attempt.
fn parameters(mut meta: Value) -> Value {
    if let Value::Object(fields) = &mut meta {
        fields.remove("progress");
        fields.remove("events");
    }
    meta
}

fn read_url(object: &mut Object) -> DomainServerUrl {
    match object.take::<Url>("domain_server_url") {
        Ok(None) => DomainServerUrl::Missing,
        Ok(Some(url)) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            DomainServerUrl::Valid(url)
        }
        Ok(Some(_)) | Err(_) => DomainServerUrl::Invalid,
    }
}

/// Looks for nothing but the task's id in a lease that can't be read, or did not arrive whole.
pub(super) fn find_task_id(body: &[u8]) -> Option<Uuid> {
    let Ok(mut object) = Object::parse(body) else { return dig::task_id(body) };
    let in_task = object.take_lenient::<Object>("task").and_then(|mut task| task.take_lenient("id"));
    in_task.or_else(|| object.take_lenient("task_id"))
}
