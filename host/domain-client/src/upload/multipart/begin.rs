//! Begins a session, and checks the part size that the server dictates.

use std::sync::Arc;

use posemesh_text::one_line;
use reqwest::Method;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::lookup::ExistingData;
use crate::api::payload::Payload;
use crate::api::wire::{self, InitiateBody, Initiated, valid_id};
use crate::upload::context::UploadContext;
use crate::upload::multipart::abort::ABORT_TIMEOUT;
use crate::upload::multipart::session::{MAX_PARTS, OpenSession};
use crate::upload::settings::UploadSettings;
use crate::upload::simple;
use crate::upload::target::ArtifactTarget;

const WHAT: &str = "beginning an upload";

/// What a session is begun for.
pub(super) struct BeginRequest {
    pub(super) target: Arc<ArtifactTarget>,
    pub(super) existing: ExistingData,
    /// The artifact's size, if it is known.
    pub(super) size: Option<u64>,
}

/// A session that has begun.
pub(super) struct BegunSession {
    pub(super) session: OpenSession,
    pub(super) existing: ExistingData,
    pub(super) data_id: Option<String>,
    pub(super) part_size: u64,
}

/// Begins a session; `None` if the server has no sessions. `announced` is what the server's info says of that.
///
/// The request goes on in the background if this is dropped while it waits, so that the session that it may have begun
/// can be aborted.
///
/// # Errors
/// As the request fails.
pub(super) async fn begin(
    context: &Arc<UploadContext>,
    request: BeginRequest,
    announced: Option<bool>,
) -> Result<Option<BegunSession>, DomainError> {
    // A request that is dropped half-way may have begun a session whose id nobody would ever learn.
    let background = Arc::clone(context);
    let (mut answer, begun) = oneshot::channel();
    context.aborts.spawn(&Handle::current(), async move {
        // While the caller waits, only the request's own limits count; the timeout begins when it has gone.
        let result = tokio::select! {
            result = initiate(&background, request) => result,
            () = async { answer.closed().await; sleep(ABORT_TIMEOUT).await } => {
                tracing::warn!(
                    task_id = %background.client.task_id(),
                    "an upload session may stay at the domain server until it expires: beginning it got no answer"
                );
                return;
            }
        };
        let result = match result {
            // A server that says that it has sessions means something else by 404: the domain, or the data.
            Err(error) if error.status() == Some(404) && announced == Some(true) => Err(error),
            // Servers without sessions route differently; each of these says that the call does not exist.
            Err(error) if matches!(error.status(), Some(404 | 405 | 501)) => Ok(None),
            other => other.map(Some),
        };
        // If nobody waits any more, the session is dropped here, while this request is still tracked: whoever waits
        // for the tracked requests then waits for the abort as well.
        drop(answer.send(result));
    });
    begun.await.unwrap_or(Err(DomainError::Cancelled))
}

async fn initiate(context: &UploadContext, request: BeginRequest) -> Result<BegunSession, DomainError> {
    let BeginRequest { target, mut existing, size } = request;
    let client = &context.client;
    let call = |existing: &ExistingData| {
        let body = InitiateBody {
            name: &target.name,
            data_type: &target.data_type,
            size,
            content_type: "application/octet-stream",
            existing_id: existing.id(),
        };
        let payload = Payload::from(wire::encode(WHAT, &body)?);
        let url = client.server().session_url("uploads");
        Ok::<_, DomainError>(ApiCall::new(WHAT, Method::POST, url).body("application/json", payload))
    };
    let mut round = 0;
    let answer = loop {
        round += 1;
        let error = match client.fetch(&call(&existing)?).await {
            Ok(answer) => break answer,
            Err(error) => error,
        };
        // An initiate stores no data: whatever has the name now is not what an earlier attempt has made.
        existing = match simple::after_refusal(client, &target, &existing, &error, None).await? {
            // A name that appears and disappears again and again is somebody else's doing.
            Some(existing) if round < simple::MAX_ROUNDS => existing,
            _ => return Err(error),
        };
    };
    let Initiated { upload_id, part_size, data_id } = wire::decode(WHAT, &answer)?;
    let upload_id = valid_id(Some(upload_id))
        .ok_or_else(|| DomainError::BadAnswer { what: WHAT, why: "its upload_id is no id".to_owned() })?;
    // From here on the session is aborted unless it is completed.
    let session = OpenSession::new(context, &upload_id);
    let part_size = accept_part_size(&context.settings, &part_size, size).map_err(|why| {
        DomainError::PartSize { name: target.name.clone(), part_size: one_line(&part_size, 40), why }
    })?;
    tracing::debug!(
        task_id = %client.task_id(), name = target.name, data_type = target.data_type,
        has_existing_id = existing.id().is_some(), part_size, on_disk = !context.budget.fits_memory(part_size), "began an upload"
    );
    Ok(BegunSession { session, existing, data_id: valid_id(data_id), part_size })
}

/// Reads the part size that the server dictates for an artifact of this size, or says why it can't be used.
fn accept_part_size(settings: &UploadSettings, said: &Value, artifact: Option<u64>) -> Result<u64, String> {
    // A part size of zero would never use up the artifact.
    let Some(size) = said.as_u64().filter(|size| *size > 0) else {
        return Err("it is not a number of bytes above 0".to_owned());
    };
    if size > settings.max_part_size {
        return Err(format!("{} bytes are the most that this node takes", settings.max_part_size));
    }
    // Known before the first byte is sent; with an unknown size it shows only when the parts run out.
    if artifact.is_some_and(|artifact| artifact.div_ceil(size) > u64::from(MAX_PARTS)) {
        return Err(format!("a session can have {MAX_PARTS} parts, and the artifact needs more"));
    }
    Ok(size)
}
