//! The four calls (protocol 3.1 to 3.6).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::error::{DmsCall, DmsError};
use super::lease::{HeartbeatAnswer, LeaseAnswer};
use super::{outcome, wire};
use crate::auth::MachineAuth;
use posemesh_net::clock::server_date;
use posemesh_net::http::{self as node_http, MAX_JSON_BODY, cause, read_body, read_body_as_far};
use posemesh_net::retry::retry_after;
use posemesh_net::secret::Secret;
use posemesh_net::url::join;

/// The longest `Retry-After` that is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// One client for all calls of the process: connections are reused, and every call has a timeout.
///
/// A call that is answered 401 is repeated once with another token; nothing else is repeated here, since
/// only the caller knows how long its lease lives.
#[derive(Clone)]
pub struct DmsClient {
    base: Url,
    client: reqwest::Client,
    auth: Arc<dyn MachineAuth>,
}

#[derive(Serialize)]
struct HeartbeatBody<'a> {
    progress: &'a Value,
    events: &'a [Value],
}

impl DmsClient {
    /// A client for the DMS at `base`, with or without a slash at its end. `timeout` holds for one request
    /// with its answer.
    ///
    /// # Errors
    /// When the TLS set-up fails.
    pub fn new(base: Url, timeout: Duration, auth: Arc<dyn MachineAuth>) -> Result<Self, DmsError> {
        let client = node_http::client_builder()
            .timeout(timeout)
            .build()
            .map_err(|error| DmsError::Setup(cause(&error)))?;
        Ok(Self { base, client, auth })
    }

    /// Asks for a task. Let it end: dropping it may leave a lease at DMS that nobody works on.
    ///
    /// # Errors
    /// See [`DmsError`]. 403 tells the registration that DMS does not know the node.
    pub async fn lease(&self) -> Result<LeaseAnswer, DmsError> {
        let call = DmsCall::Lease;
        let response = match self.send(call, None).await {
            Ok(response) => response,
            Err(DmsError::Status { status: StatusCode::CONFLICT, .. }) => return Ok(LeaseAnswer::Busy),
            Err(error) => {
                if error.status() == Some(StatusCode::FORBIDDEN) {
                    self.auth.on_forbidden();
                }
                return Err(error);
            }
        };
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(LeaseAnswer::NoWork);
        }
        let date = server_date(response.headers());
        let answer = match read_body_as_far(response, MAX_JSON_BODY).await {
            (body, None) => wire::lease(&body, date),
            // The lease is ours even if its description did not arrive. What did may name the task.
            (part, Some(error)) => match wire::find_task_id(&part) {
                Some(id) => LeaseAnswer::Undecodable { task_id: Some(id), error: error.to_string() },
                None => return Err(DmsError::body(call, &error)),
            },
        };
        match &answer {
            LeaseAnswer::Lease(lease) => tracing::debug!(
                task_id = %lease.task.id,
                capability = lease.task.capability.as_str(),
                access_token_updated = lease.access_token.is_some(),
                cancel = lease.cancel,
                "Decoded DMS lease response"
            ),
            LeaseAnswer::Undecodable { task_id, error } => {
                tracing::warn!(?task_id, %error, "the lease that DMS gave can't be read");
            }
            LeaseAnswer::NoWork | LeaseAnswer::Busy => {}
        }
        Ok(answer)
    }

    /// Extends a lease and tells how far the task is.
    ///
    /// # Errors
    /// See [`DmsError`] and its [`DmsError::classify`].
    pub async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &Value,
        events: &[Value],
    ) -> Result<HeartbeatAnswer, DmsError> {
        let call = DmsCall::Heartbeat(task_id);
        let response = self.send(call, Some(encode(&HeartbeatBody { progress, events })?)).await?;
        let (body, date) = read(call, response).await?;
        let answer = wire::heartbeat(&body, date).map_err(|source| DmsError::Decode { call, source })?;
        tracing::debug!(
            %task_id,
            access_token_updated = answer.access_token.is_some(),
            cancel = answer.cancel,
            "Decoded DMS heartbeat response"
        );
        Ok(answer)
    }

    /// Ends a task well. `body` is that of [`outcome::complete_body`].
    ///
    /// # Errors
    /// See [`DmsError`] and its [`DmsError::classify`].
    pub async fn complete(&self, task_id: Uuid, body: &Value) -> Result<(), DmsError> {
        self.send(DmsCall::Complete(task_id), Some(encode(body)?)).await.map(drop)
    }

    /// Ends a task badly, or gives it back. A reason longer than [`outcome::LONGEST_REASON`] is cut.
    ///
    /// # Errors
    /// See [`DmsError`] and its [`DmsError::classify`].
    pub async fn fail(&self, task_id: Uuid, reason: &str, details: &Value) -> Result<(), DmsError> {
        let body = encode(&outcome::fail_body(reason, details))?;
        self.send(DmsCall::Fail(task_id), Some(body)).await.map(drop)
    }

    /// Sends with the 401 rule, and gives 2xx answers back.
    async fn send(&self, call: DmsCall, body: Option<Bytes>) -> Result<reqwest::Response, DmsError> {
        let token = self.bearer(call).await?;
        let mut response = self.send_once(call, body.clone(), &token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            if call == DmsCall::Lease {
                tracing::warn!(endpoint = %call, status = 401, "DMS lease unauthorized; logging in again");
            } else {
                tracing::warn!(endpoint = %call, status = 401, "DMS refused the machine token; logging in again");
            }
            self.auth.on_unauthorized(&token);
            let token = self.bearer(call).await?;
            response = self.send_once(call, body, &token).await?;
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // The body of a failure is not looked at: it may hold anything.
        let retry_after = retry_after(response.headers(), LONGEST_RETRY_AFTER);
        tracing::debug!(endpoint = %call, status = status.as_u16(), "DMS answered with an error");
        Err(DmsError::Status { call, status, retry_after })
    }

    async fn bearer(&self, call: DmsCall) -> Result<Secret, DmsError> {
        self.auth.bearer().await.map_err(|source| DmsError::Auth { call, source })
    }

    async fn send_once(
        &self,
        call: DmsCall,
        body: Option<Bytes>,
        token: &Secret,
    ) -> Result<reqwest::Response, DmsError> {
        let url = match call.target() {
            None => join(&self.base, &["tasks"]),
            Some((id, verb)) => join(&self.base, &["tasks", &id.to_string(), verb]),
        };
        let authorization = node_http::bearer(token)
            .map_err(|_| DmsError::Setup("the machine token can't stand in a header".to_owned()))?;
        let mut request = self.client.request(call.method(), url).header(AUTHORIZATION, authorization);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request.send().await.map_err(|error| DmsError::Transport {
            call,
            sent: !error.is_connect(),
            cause: cause(&error),
        })
    }
}

impl std::fmt::Debug for DmsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DmsClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

async fn read(
    call: DmsCall,
    response: reqwest::Response,
) -> Result<(Bytes, Option<OffsetDateTime>), DmsError> {
    let date = server_date(response.headers());
    let body = read_body(response, MAX_JSON_BODY).await.map_err(|error| DmsError::body(call, &error))?;
    Ok((body, date))
}

fn encode<T: Serialize>(body: &T) -> Result<Bytes, DmsError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| DmsError::Setup(error.to_string()))
}
