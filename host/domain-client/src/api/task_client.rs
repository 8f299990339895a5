//! Sends a task's requests: headers, timeouts, retries, and what a refused token leads to.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posemesh_net::http::{BodyError, bearer, read_body, start_of_body};
use posemesh_net::meter::{self, Peer};
use posemesh_runner_api::failure::Blame;
use posemesh_runner_api::ports::{PortError, PortErrorKind};
use posemesh_text::one_line;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, Response};
use tokio::time::{sleep, timeout};
use tracing::Span;
use uuid::Uuid;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::http::DomainHttp;
use crate::api::server::TaskServer;
use crate::api::settings::RequestSettings;
use crate::api::stall::StallDetector;
use crate::api::token::{TaskToken, TokenVersion};
use crate::servers::{ServerWait, Servers, TaskAtServer, UnansweredCall};
use crate::traffic::Traffic;

/// How often in a row a refused token is replaced within one call before the refusal counts.
const MAX_REFRESHES: u32 = 2;
/// Bytes of a plain-text error body that go into an error.
const DETAIL_BYTES: usize = 256;
/// Time for the body of an error, which only makes the error's text better.
const DETAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes requests for one task: to the server of its lease, with the token of its lease.
#[derive(Debug)]
pub(crate) struct TaskClient {
    http: Arc<DomainHttp>,
    server: TaskServer,
    token: Arc<TaskToken>,
    /// For names and logs.
    task_id: Uuid,
    traffic: Arc<Traffic>,
    at_server: Arc<TaskAtServer>,
    /// The task, of which transfers are parts.
    span: Span,
}

impl TaskClient {
    pub(crate) fn new(
        http: Arc<DomainHttp>,
        server: TaskServer,
        token: Arc<TaskToken>,
        task_id: Uuid,
        servers: Servers,
    ) -> Self {
        let at_server = Arc::new(TaskAtServer::new(servers, server.origin(), task_id));
        // Whoever makes the client works on the task; transfers may begin on other threads.
        let span = Span::current();
        Self { http, server, token, task_id, traffic: Arc::default(), at_server, span }
    }

    /// What the spans of transfers are parts of.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn settings(&self) -> &RequestSettings {
        &self.http.settings
    }

    pub(crate) fn server(&self) -> &TaskServer {
        &self.server
    }

    pub(crate) fn task_id(&self) -> Uuid {
        self.task_id
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What the node's board of servers hears of this task.
    pub(crate) fn at_server(&self) -> &Arc<TaskAtServer> {
        &self.at_server
    }

    /// The error of a port as its runner gets it. The board hears of it if it is the server's fault.
    pub(crate) fn port_error(&self, error: DomainError) -> PortError {
        // Failures that pass were noted call by call.
        if error.blame() == Blame::Server && !error.is_transient() {
            self.at_server.refused(&error.to_string());
        }
        let Some(refusal) = error.own_refusal() else { return error.into() };
        match self.at_server.refused_alike(refusal, &error.to_string()) {
            None => error.into(),
            Some(tasks) => {
                let error = PortError::from(error).blamed_on(Blame::Server);
                let text = format!("{}; {tasks} tasks in a row were refused alike", error.text);
                PortError { text, ..error }
            }
        }
    }

    /// The call of the task that waits for another try, as an error of a port.
    pub(crate) fn unanswered(&self) -> Option<PortError> {
        let UnansweredCall { blame, text } = self.at_server.waits().unanswered()?;
        Some(PortError::new(PortErrorKind::Unavailable, text).blamed_on(blame))
    }

    /// Makes the call and reads its small answer. Transient failures are tried again, also when the answer is cut, for as
    /// long as nobody drops the call: its task's end does.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub(crate) async fn fetch(&self, call: &ApiCall) -> Result<Bytes, DomainError> {
        let limit = self.settings().answer_timeout;
        let body = self.repeat(call, |response| async move {
            match timeout(limit, read_body(response, call.max_answer_bytes)).await {
                Ok(Ok(body)) => Ok(body),
                Ok(Err(BodyError::TooLarge(most))) => Err(DomainError::BadAnswer {
                    what: call.what,
                    why: format!("it has more than {most} bytes"),
                }),
                Ok(Err(BodyError::Transport(cause))) => {
                    Err(DomainError::Transport { what: call.what, cause })
                }
                Err(_) => {
                    Err(DomainError::Stalled { what: call.what, phase: "reading the answer", after: limit })
                }
            }
        });
        let body = body.await?;
        if call.authorised {
            self.at_server.worked(call.what);
        }
        Ok(body)
    }

    /// Makes the call and returns its answer with the body unread: only that shows whether the server has
    /// [worked](TaskAtServer::worked).
    ///
    /// # Errors
    /// The error of the last attempt.
    pub(crate) async fn open(&self, call: &ApiCall) -> Result<Response, DomainError> {
        self.repeat(call, |response| async move { Ok(response) }).await
    }

    async fn repeat<T, F>(&self, call: &ApiCall, read: impl Fn(Response) -> F) -> Result<T, DomainError>
    where
        F: Future<Output = Result<T, DomainError>>,
    {
        let (mut attempts, mut refusals) = (0, 0);
        let mut waiting: Option<ServerWait> = None;
        let result = loop {
            // Read anew for each attempt, so that a rotation takes effect in the middle of a call.
            let token = self.token.current();
            let result = match self.attempt(call, &token, attempts + 1).await {
                Ok(response) => read(response).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(value) => break Ok(value),
                Err(error) => error,
            };
            // Before the ordinary retries, and not counted with them, since a 401 does not pass by waiting: only another
            // token helps. A task may live through many rotations while its server is away.
            if error.status() == Some(401) && call.authorised && refusals < MAX_REFRESHES {
                refusals += 1;
                tracing::debug!(task_id = %self.task_id, "{}: the task token was refused", call.what);
                if self.wait_for_newer_token(token.rotation).await {
                    continue;
                }
                break Err(error);
            }
            refusals = 0;
            attempts += 1;
            if !error.is_transient() {
                break Err(error);
            }
            let may_repeat = call.max_attempts.is_none_or(|most| attempts < most);
            let wait = self.settings().retry.wait_after(attempts, error.retry_after()).filter(|_| may_repeat);
            let Some(wait) = wait else {
                if error.blame() == Blame::Server && !call.is_optional {
                    self.at_server.failed(&error.to_string());
                }
                break Err(error);
            };
            let wait_ms = wait.as_millis();
            tracing::debug!(task_id = %self.task_id, %error, wait_ms, tried = attempts, "trying again");
            if !call.is_optional {
                let waiting = waiting.get_or_insert_with(|| self.at_server.wait());
                waiting.failed(error.blame(), error.to_string());
            }
            sleep(wait).await;
            meter::retried(Peer::DomainServer);
        };
        if let Some(waiting) = waiting {
            waiting.over();
        }
        match &result {
            _ if call.is_optional => {}
            Ok(_) if call.authorised => self.at_server.succeeded(),
            Ok(_) => self.at_server.answered(),
            Err(error) if error.status().is_some() && !error.is_transient() => self.at_server.answered(),
            Err(_) => {}
        }
        result
    }

    /// Waits for a newer token than the refused one, and asks the heartbeats for it unless it is there already.
    async fn wait_for_newer_token(&self, refused: u64) -> bool {
        if self.token.current().rotation > refused {
            return true;
        }
        self.token.want_refresh();
        timeout(self.settings().token_wait, self.token.rotated_since(refused)).await.is_ok()
    }

    async fn attempt(
        &self,
        call: &ApiCall,
        token: &TokenVersion,
        attempt: u32,
    ) -> Result<Response, DomainError> {
        // Before the token goes into a request: a server that is refused must not receive it.
        self.server.check()?;
        let what = call.what;
        let mut request = self.http.client.request(call.method.clone(), call.url.clone());
        if call.authorised {
            // A blank token would be sent as an empty credential; the error here says what is wrong.
            let secret = token.token.as_ref().filter(|token| !token.expose().trim().is_empty());
            let secret = secret.ok_or(DomainError::MissingToken(what))?;
            let bearer = bearer(secret).map_err(|_| DomainError::BadToken(what))?;
            request =
                request.header(AUTHORIZATION, bearer).header("posemesh-client-id", &self.http.client_id);
        }
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(content_type) = &call.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let length = call.payload.as_ref().map_or(0, |payload| payload.size());
        let detector = Arc::new(StallDetector::new(length));
        if let Some(payload) = &call.payload {
            let (progress, traffic) = (Arc::clone(&detector), Arc::clone(&self.traffic));
            let body = payload.to_body(move |chunk| match chunk {
                Ok(bytes) => {
                    progress.sent(bytes.len());
                    traffic.sent(bytes.len());
                }
                Err(error) => progress.unreadable(error),
            });
            // A streamed body would otherwise go out chunked, without a length that the server can check.
            request = request.header(CONTENT_LENGTH, length).body(body);
        }
        let settings = self.settings();
        let first_byte_timeout = call.first_byte_timeout.unwrap_or(settings.first_byte_timeout);
        let response = tokio::select! {
            sent = meter::send(Peer::DomainServer, request) => {
                sent.map_err(|error| match detector.read_error() {
                    Some(why) => DomainError::Spool(why.to_owned()),
                    None => DomainError::of_request(what, &error),
                })?
            }
            (phase, after) = detector.stalled(settings.idle_timeout, first_byte_timeout) => {
                return Err(DomainError::Stalled { what, phase, after });
            }
        };
        let status = response.status();
        tracing::debug!(
            task_id = %self.task_id, method = %call.method, path = call.url.path(), status = status.as_u16(),
            tried = attempt, "{what}"
        );
        if status.is_success() {
            return Ok(response);
        }
        // Read first, since reading the body of the error consumes the response.
        let retry_after =
            posemesh_net::retry::retry_after(response.headers(), settings.retry.retry_after_max);
        let detail = error_detail(response, token).await;
        let reads = call.method == Method::GET;
        Err(DomainError::Status { what, status, detail, retry_after, attempt, reads })
    }
}

/// The plain text of a client error, as `: text`; empty if there is none that is fit to be shown (protocol 6.11).
async fn error_detail(response: Response, token: &TokenVersion) -> String {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = content_type.is_some_and(|kind| kind.starts_with("text/plain"));
    if !response.status().is_client_error() || !is_text {
        return String::new();
    }
    // More bytes than are shown, so that a token across the cut is more likely to be recognised.
    let start = timeout(DETAIL_TIMEOUT, start_of_body(response, 4 * DETAIL_BYTES)).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&start);
    let quotes_token = token.token.as_ref().is_some_and(|token| text.contains(token.expose()));
    match one_line(text.trim(), DETAIL_BYTES).as_str() {
        "" => String::new(),
        // A token that is cut off at the end of what was read would not be found by its whole text.
        _ if quotes_token || text.contains("Bearer ") || text.contains("eyJ") => String::new(),
        text => format!(": {text}"),
    }
}
