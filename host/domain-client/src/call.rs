//! One request to a domain server: its headers, its timeouts, its retries and what a refused token
//! leads to.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posemesh_domain_data::excerpt;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response};
use tokio::time::timeout;
use url::Url;

use super::access::Access;
use super::error::StorageError;
use super::payload::{Payload, Pulse};
use super::token::Held;
use posemesh_net::http::{BodyError, cause, read_body, start_of_body};

/// How often a refused token is replaced within one call before the refusal counts.
const MAX_REFRESHES: u32 = 2;
/// Bytes of a plain-text error body that go into an error.
const DETAIL_BYTES: usize = 256;
/// How long the body of an error may take; it is a courtesy.
const DETAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// A request, repeatable.
#[derive(Debug)]
pub(super) struct Call {
    /// What it does, for errors: `storing an artifact`.
    pub what: &'static str,
    pub method: Method,
    pub url: Url,
    pub accept: Option<&'static str>,
    pub content_type: Option<String>,
    pub payload: Payload,
    /// Whether it carries the task token and the client id (all but `info` do).
    pub authorised: bool,
    /// Fewer tries than the policy has.
    pub max_tries: Option<u32>,
    /// How long the server may think before it answers; the settings' time if none.
    pub patience: Option<Duration>,
    /// Bytes of the answer to `fetch`.
    pub answer_bytes: usize,
}

/// Bytes of an ordinary answer: a few ids and numbers.
const SMALL_ANSWER: usize = 64 << 10;

impl Call {
    pub fn new(what: &'static str, method: Method, url: Url) -> Self {
        Self {
            what,
            method,
            url,
            accept: None,
            content_type: None,
            payload: Payload::Empty,
            authorised: true,
            max_tries: None,
            patience: None,
            answer_bytes: SMALL_ANSWER,
        }
    }

    pub fn accept(self, accept: &'static str) -> Self {
        Self { accept: Some(accept), ..self }
    }

    pub fn body(self, content_type: impl Into<String>, payload: Payload) -> Self {
        Self { content_type: Some(content_type.into()), payload, ..self }
    }

    pub fn unauthorised(self) -> Self {
        Self { authorised: false, ..self }
    }

    pub fn patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    pub fn answer_bytes(self, answer_bytes: usize) -> Self {
        Self { answer_bytes, ..self }
    }

    pub fn at_most(self, tries: u32) -> Self {
        Self { max_tries: Some(tries), ..self }
    }
}

impl Access {
    /// Makes the call and reads its small answer. Whatever passes is tried again, a cut answer too.
    pub async fn fetch(&self, call: &Call) -> Result<Bytes, StorageError> {
        self.repeat(call, |response| async move {
            let read = timeout(self.settings().answer_timeout, read_body(response, call.answer_bytes)).await;
            match read {
                Ok(Ok(body)) => Ok(body),
                Ok(Err(BodyError::TooLarge(limit))) => Err(StorageError::BadAnswer {
                    what: call.what,
                    why: format!("it has more than {limit} bytes"),
                }),
                Ok(Err(BodyError::Transport(cause))) => {
                    Err(StorageError::Transport { what: call.what, cause })
                }
                Err(_) => Err(StorageError::Stalled {
                    what: call.what,
                    phase: "reading the answer",
                    after: self.settings().answer_timeout,
                }),
            }
        })
        .await
    }

    /// Makes the call and returns its answer with the body unread.
    pub async fn open(&self, call: &Call) -> Result<Response, StorageError> {
        self.repeat(call, |response| async move { Ok(response) }).await
    }

    async fn repeat<T, F>(&self, call: &Call, read: impl Fn(Response) -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let (mut tried, mut refreshed) = (0, 0);
        loop {
            tried += 1;
            let held = self.token().get();
            let result = match self.attempt(call, &held, tried).await {
                Ok(response) => read(response).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.status() == Some(401) && call.authorised && refreshed < MAX_REFRESHES {
                refreshed += 1;
                tracing::debug!(task_id = %self.task_id(), "{}: the task token was refused", call.what);
                if self.newer_token(held.rotation).await {
                    continue;
                }
                return Err(error);
            }
            let left = call.max_tries.is_none_or(|most| tried < most);
            match self.settings().retry.wait_after(tried, &error).filter(|_| left) {
                Some(wait) => {
                    tracing::debug!(task_id = %self.task_id(), %error, wait_ms = wait.as_millis(), tried, "trying again");
                    tokio::time::sleep(wait).await;
                }
                None => return Err(error),
            }
        }
    }

    /// Waits for a newer token than the one that was refused, asking the heartbeats for it unless it is
    /// there already.
    async fn newer_token(&self, rotation: u64) -> bool {
        if self.token().get().rotation > rotation {
            return true;
        }
        self.token().want_refresh();
        timeout(self.settings().token_wait, self.token().rotated_since(rotation)).await.is_ok()
    }

    async fn attempt(&self, call: &Call, held: &Held, tried: u32) -> Result<Response, StorageError> {
        self.check_server()?;
        let what = call.what;
        let mut request = self.http().request(call.method.clone(), call.url.clone());
        if call.authorised {
            let token = held.token.as_ref().filter(|token| !token.expose().trim().is_empty());
            let token = token.ok_or(StorageError::MissingToken(what))?;
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| StorageError::BadToken(what))?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer).header("posemesh-client-id", self.client_id());
        }
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(content_type) = &call.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let length = call.payload.len();
        let pulse = Arc::new(Pulse::new(length));
        if !matches!(call.payload, Payload::Empty) {
            let body = call.payload.to_body(Arc::clone(&pulse), Arc::clone(self.traffic()));
            request = request.header(CONTENT_LENGTH, length).body(body);
        }
        let settings = self.settings();
        let patience = call.patience.unwrap_or(settings.first_byte_timeout);
        let response = tokio::select! {
            sent = request.send() => {
                sent.map_err(|error| StorageError::Transport { what, cause: cause(&error) })?
            }
            (phase, after) = pulse.stalled(settings.idle_timeout, patience) => {
                return Err(StorageError::Stalled { what, phase, after });
            }
        };
        let status = response.status();
        tracing::debug!(
            task_id = %self.task_id(), method = %call.method, path = call.url.path(), status = status.as_u16(), tried,
            "{what}"
        );
        if status.is_success() {
            return Ok(response);
        }
        let retry_after =
            posemesh_net::retry::retry_after(response.headers(), settings.retry.retry_after_max);
        let detail = detail(response, held).await;
        Err(StorageError::Status { what, status, detail, retry_after, tried })
    }
}

/// What a client error says in plain text, as `: text`; empty if it says nothing fit to be shown.
async fn detail(response: Response, held: &Held) -> String {
    let plain = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !response.status().is_client_error() || !plain.is_some_and(|kind| kind.starts_with("text/plain")) {
        return String::new();
    }
    let start = timeout(DETAIL_TIMEOUT, start_of_body(response, 4 * DETAIL_BYTES)).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&start);
    let quotes_token = held.token.as_ref().is_some_and(|token| text.contains(token.expose()));
    match excerpt(text.trim(), DETAIL_BYTES).as_str() {
        "" => String::new(),
        // The start of a token at the cut would not be found above.
        _ if quotes_token || text.contains("Bearer ") || text.contains("eyJ") => String::new(),
        text => format!(": {text}"),
    }
}
