//! The wire forms of leases and heartbeat answers (protocol 3.3 and 3.4).
//!
//! What a run needs is read strictly; in everything else a value that does not fit is the same as a missing field, and
//! so are `null` and blank text everywhere: a lease that is not understood is a lease that is lost.

mod outline;
mod parameters;
mod task_id;

use posemesh_net::http::bearer;
use posemesh_net::json::{Fields, JsonError, Timestamp};
use posemesh_net::secret::Secret;
use posemesh_runner_api::json_text::{JsonText, JsonTextError};
use posemesh_runner_api::task::Task;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::dms::lease::{DomainServerUrl, HeartbeatAnswer, Lease, LeaseAnswer};

pub(super) use outline::Outline;
pub(super) use task_id::TaskIdSearch;

/// Reads the body of a 2xx to `GET /tasks`.
pub(super) fn decode_lease(body: &[u8], server_date: Option<OffsetDateTime>) -> LeaseAnswer {
    match read_lease(body, server_date) {
        Ok(lease) => LeaseAnswer::Lease(Box::new(lease)),
        Err(error) => LeaseAnswer::Unreadable { task_id: task_id::find(body), error: error.to_string() },
    }
}

/// Reads the envelope of a lease (protocol 3.3).
fn read_lease(body: &[u8], server_date: Option<OffsetDateTime>) -> Result<Lease, JsonError> {
    let envelope = Fields::of_body(body)?;
    let task = envelope.object("task")?.ok_or_else(|| JsonError::Missing("task".to_owned()))?;
    // The task carries the end of its lease too; it stands in when the envelope says nothing. Without a readable
    // expiry there is a fallback (protocol 4.2), without a lease there is none.
    let expiry =
        envelope.lenient::<Timestamp>("lease_expires_at").or_else(|| task.lenient("lease_expires_at"));
    Ok(Lease {
        // Strict: storage needs it, and the reason of the failure should be the true one.
        task: read_task(&task, envelope.optional("domain_id")?)?,
        access_token: token(&envelope),
        traceparent: task.raw("meta").and_then(parameters::traceparent),
        lease_expires_at: expiry.map(|at| at.0),
        server_date,
        sent: None,
        // Strict: taking a garbled `cancel` for false would run a task that nobody wants any more.
        cancel: cancel(&envelope)?,
        domain_server_url: domain_server_url(&envelope),
    })
}

/// Reads the body of a 2xx to a heartbeat. The heartbeat has extended the lease, whatever single fields hold.
pub(super) fn decode_heartbeat_answer(
    body: &[u8],
    server_date: Option<OffsetDateTime>,
) -> Result<HeartbeatAnswer, JsonError> {
    let answer = Fields::of_body(body)?;
    let domain_id: Option<Uuid> = answer.lenient("domain_id");
    let task_fields = answer.object("task").ok().flatten();
    // A task that can't be read replaces nothing; only its id is used, as far as it can be.
    let task = task_fields.as_ref().and_then(|task| {
        let task = read_task(task, domain_id);
        task.inspect_err(|error| tracing::debug!(%error, "the answer to a heartbeat has no usable task")).ok()
    });
    let task_id =
        task_fields.as_ref().and_then(|task| task.lenient("id")).or_else(|| answer.lenient("task_id"));
    let cancel = cancel(&answer).unwrap_or_else(|error| {
        // Not a failed heartbeat: repeated, it would end the lease for want of an answer, with the work in it.
        tracing::warn!(%error, "the answer to a heartbeat does not say whether to cancel; the task goes on");
        false
    });
    Ok(HeartbeatAnswer {
        access_token: token(&answer),
        lease_expires_at: answer.lenient::<Timestamp>("lease_expires_at").map(|at| at.0),
        server_date,
        sent: None,
        cancel,
        domain_id,
        domain_server_url: domain_server_url(&answer),
        // A task names no domain itself: the envelope's is its domain, and `merge_into` supplies the lease's.
        task,
        task_id,
        job_id: answer.lenient("job_id"),
        attempts: answer.lenient("attempts"),
        max_attempts: answer.lenient("max_attempts"),
    })
}

/// Reads the task in a lease or in a heartbeat's answer (protocol 3.3).
fn read_task(task: &Fields<'_>, domain_id: Option<Uuid>) -> Result<Task, JsonError> {
    Ok(Task {
        id: task.required("id")?,
        job_id: task.lenient("job_id"),
        domain_id,
        capability: task.required("capability")?,
        capability_filters: as_written(task, "capability_filters", JsonText::new)?,
        // Strict: a runner that got fewer inputs than were meant would do the wrong work and call it done.
        inputs_cids: task.optional("inputs_cids")?.unwrap_or_default(),
        // Strict: it decides where the artifacts go.
        outputs_prefix: task.optional("outputs_prefix")?,
        label: task.lenient("label"),
        stage: task.lenient("stage"),
        meta: as_written(task, "meta", parameters::parameters)?,
        attempts: task.lenient("attempts"),
        max_attempts: task.lenient("max_attempts"),
    })
}

/// A field that the runner gets as its author wrote it.
fn as_written(
    task: &Fields<'_>,
    name: &str,
    read: impl FnOnce(&RawValue) -> Result<JsonText, JsonTextError>,
) -> Result<JsonText, JsonError> {
    let text = task.raw(name).map(read).transpose();
    text.map(Option::unwrap_or_default).map_err(|_| task.invalid(name, "JSON of usual depth"))
}

/// The task token. One that no request could carry is none: a later answer may bring another.
fn token(fields: &Fields<'_>) -> Option<Secret> {
    fields.lenient("access_token").filter(|token| bearer(token).is_ok())
}

/// Whether the task is to be stopped: missing is false. As servers of many languages write it.
fn cancel(fields: &Fields<'_>) -> Result<bool, JsonError> {
    let value: Option<Value> = fields.optional("cancel")?;
    let read = match &value {
        None => Some(false),
        Some(Value::Bool(cancel)) => Some(*cancel),
        Some(Value::Number(number)) => {
            number.as_u64().filter(|number| *number <= 1).map(|number| number == 1)
        }
        Some(Value::String(text)) => text.trim().to_ascii_lowercase().parse().ok(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) => None,
    };
    read.ok_or_else(|| fields.invalid("cancel", "a boolean"))
}

/// A lease with a bad URL is still a lease: the task can be failed with the reason.
fn domain_server_url(fields: &Fields<'_>) -> DomainServerUrl {
    match fields.optional::<Value>("domain_server_url") {
        Ok(None) => DomainServerUrl::Missing,
        Ok(Some(Value::String(text))) => DomainServerUrl::read(&text),
        Ok(Some(_)) | Err(_) => DomainServerUrl::Invalid,
    }
}

#[cfg(test)]
mod tests;
