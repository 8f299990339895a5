//! The client of DMS over HTTP (protocol 3.1 to 3.6).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use posemesh_net::clock::server_date;
use posemesh_net::http::{self as node_http, cause};
use posemesh_net::meter::{self, Peer};
use posemesh_net::retry::retry_after;
use posemesh_net::secret::Secret;
use posemesh_net::url::join;
use posemesh_runner_api::json_text::JsonText;
use reqwest::{Response, StatusCode};
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use crate::auth::MachineAuth;
use crate::dms::authorized::{Sent, send_authorized};
use crate::dms::call::DmsCall;
use crate::dms::error::JobServerError;
use crate::dms::final_report::FinalReport;
use crate::dms::large_body::{LargeBody, read_or_scan};
use crate::dms::lease::{HeartbeatAnswer, LeaseAnswer};
use crate::dms::server::JobServer;
use crate::dms::wire::{self, Outline, TaskIdSearch};

/// The longest `Retry-After` that is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How much of a capability a log line shows, in bytes.
const MAX_CAPABILITY: usize = 300;

/// One client for all calls of the process: connections are reused, and every call has a timeout.
///
/// A call that is answered 401 is repeated once with another token; nothing else is repeated here.
#[derive(Clone)]
pub(crate) struct DmsClient {
    base: Url,
    http: reqwest::Client,
    auth: Arc<dyn MachineAuth>,
}

#[derive(Serialize)]
struct HeartbeatRequest<'a> {
    progress: &'a JsonText,
    events: &'a [JsonText],
}

impl DmsClient {
    /// A client for the DMS at `base`, with or without a slash at its end. `timeout` limits one request
    /// including its answer.
    ///
    /// # Errors
    /// When the TLS set-up fails.
    pub(crate) fn new(
        base: Url,
        timeout: Duration,
        auth: Arc<dyn MachineAuth>,
    ) -> Result<Self, JobServerError> {
        let http = node_http::client_builder()
            .timeout(timeout)
            .build()
            .map_err(|error| JobServerError::setup(cause(&error)))?;
        Ok(Self { base, http, auth })
    }

    /// Sends with the rule for 401 (protocol 3.1). The answer may have any status.
    async fn send(&self, call: DmsCall, body: Option<Bytes>) -> Result<Sent<Response>, JobServerError> {
        let send = |token: Secret| {
            let body = body.clone();
            async move { self.send_once(call, body, &token).await }
        };
        send_authorized(self.auth.as_ref(), call, send, Response::status).await
    }

    async fn send_once(
        &self,
        call: DmsCall,
        body: Option<Bytes>,
        token: &Secret,
    ) -> Result<Response, JobServerError> {
        let url = match call.target() {
            None => join(&self.base, &["tasks"]),
            Some((id, verb)) => join(&self.base, &["tasks", &id.to_string(), verb]),
        };
        let authorization = node_http::bearer(token)
            .map_err(|_| JobServerError::setup("the machine token can't stand in a header"))?;
        let mut request = self.http.request(call.method(), url).header(AUTHORIZATION, authorization);
        // Without a body there is no `Content-Type` either: `GET /tasks` is sent bare (protocol 3.2).
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        // Only a failed connection proves that nothing was sent; after a timeout DMS may have acted.
        meter::send(Peer::Dms, request)
            .await
            .map_err(|error| JobServerError::transport(call, !error.is_connect(), &cause(&error)))
    }
}

#[async_trait]
impl JobServer for DmsClient {
    async fn request_lease(&self) -> Result<LeaseAnswer, JobServerError> {
        let call = DmsCall::Lease;
        let Sent { answer: response, at } = self.send(call, None).await?;
        match response.status() {
            StatusCode::NO_CONTENT => return Ok(LeaseAnswer::NoWork),
            // No failure: a server may allow a node one lease at a time (protocol 3.7), so polls must not back off.
            StatusCode::CONFLICT => return Ok(LeaseAnswer::Busy),
            _ => {}
        }
        let response = successful(call, response)?;
        // An expiry means something only by the clock that wrote it: the `Date` of the same answer.
        let date = server_date(response.headers());
        let mut answer = match read_or_scan::<TaskIdSearch>(response).await {
            LargeBody::Whole(body) => wire::decode_lease(&body, date),
            // The lease is granted even if its description did not arrive. What did may name the task.
            LargeBody::Broken { scan, error } => match scan.found() {
                Some(id) => LeaseAnswer::Unreadable { task_id: Some(id), error: error.to_string() },
                // Nothing can be failed without an id: the lease has to expire, and polls back off meanwhile.
                None => return Err(JobServerError::body(call, &error)),
            },
        };
        if let LeaseAnswer::Lease(lease) = &mut answer {
            lease.sent = Some(at);
            tracing::debug!(
                task_id = %lease.task.id,
                capability = posemesh_text::one_line(&lease.task.capability, MAX_CAPABILITY),
                access_token_updated = lease.access_token.is_some(),
                cancel = lease.cancel,
                "Decoded DMS lease response"
            );
        }
        Ok(answer)
    }

    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &JsonText,
        events: &[JsonText],
    ) -> Result<HeartbeatAnswer, JobServerError> {
        let call = DmsCall::Heartbeat(task_id);
        let body = encode(&HeartbeatRequest { progress, events })?;
        let Sent { answer: response, at } = self.send(call, Some(body)).await?;
        let response = successful(call, response)?;
        let date = server_date(response.headers());
        let body = match read_or_scan::<Outline>(response).await {
            LargeBody::Whole(body) => body,
            // The server has extended the lease. It is the task that is large, with the reports of earlier attempts.
            LargeBody::Broken { scan, error } => match scan.finish() {
                Some(outline) => Bytes::from(outline),
                // A part is of no use: the next heartbeat gets an answer of its own.
                None => return Err(JobServerError::body(call, &error)),
            },
        };
        let answer = wire::decode_heartbeat_answer(&body, date);
        let mut answer = answer.map_err(|error| JobServerError::decode(call, &error))?;
        answer.sent = Some(at);
        tracing::debug!(
            %task_id,
            access_token_updated = answer.access_token.is_some(),
            cancel = answer.cancel,
            "Decoded DMS heartbeat response"
        );
        Ok(answer)
    }

    async fn finish(&self, task_id: Uuid, report: &FinalReport) -> Result<(), JobServerError> {
        let call = match report {
            FinalReport::Complete(_) => DmsCall::Complete(task_id),
            FinalReport::Fail { .. } => DmsCall::Fail(task_id),
        };
        let Sent { answer: response, .. } = self.send(call, Some(encode(report)?)).await?;
        // The body stays unread: a report that was accepted must not fail by what follows the status.
        successful(call, response).map(drop)
    }
}

impl fmt::Debug for DmsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmsClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// The answer if it is a success. The body of a failure is not read: it may hold anything.
fn successful(call: DmsCall, response: Response) -> Result<Response, JobServerError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    tracing::debug!(endpoint = %call, status = status.as_u16(), "DMS answered with an error");
    Err(JobServerError::status(call, status, retry_after(response.headers(), LONGEST_RETRY_AFTER)))
}

fn encode<T: Serialize>(body: &T) -> Result<Bytes, JobServerError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(JobServerError::setup)
}

#[cfg(test)]
mod tests;
