//! Requests by HTTP that the node sends for a call: to granted hosts only, as `outbound` decides.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks as _};

use crate::instance::outbound::Outbound;
use crate::sandbox::arena::{SLOT, SLOTS};
use crate::sandbox::node::copies::Copies;
use crate::sandbox::node::steps::{Answers, Asked, Served, Step};
use crate::sandbox::wire::{Answer, AskId, HttpError, Refusal, Request, headers};

/// Pieces of a request's body that may wait for the server.
const WAITING_PIECES: usize = 2;
/// Steps that may wait on either way: for no more are there slots.
const WAITING_STEPS: usize = SLOTS as usize;

/// Where the pieces of a request's body go.
type Pieces = mpsc::Sender<Result<Bytes, Error>>;
/// An answer, and the work that goes on behind it.
type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// The way out of one call. Clones share its budgets.
#[derive(Clone)]
pub(super) struct Requests(Arc<Mutex<Outbound>>);

impl Requests {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self(Arc::new(Mutex::new(outbound)))
    }

    /// Sends one request and serves its bodies, each at its own pace: a server may answer before it has taken the whole
    /// request, and take the rest only when its answer is read.
    pub(super) fn serve(
        &self,
        ask: AskId,
        request: Request,
        steps: mpsc::Receiver<Asked>,
        copies: Copies,
        held: Arc<Served>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let outbound = self.0.clone();
        async move {
            let answers = held.answers.clone();
            let (pieces, body) = body(request.has_body);
            let sent = match wasi_request(&request, body) {
                Ok(request_) => {
                    let mut outbound = outbound.lock().unwrap_or_else(PoisonError::into_inner);
                    outbound.send_request(request_, options(&request), Box::new(std::future::ready(Ok(()))))
                }
                Err(error) => return answers.send(ask, Err(Refusal::Http(error))).await,
            };
            // On its own, since the body is pulled by it while pieces are waited for here.
            let sent = AbortOnDropHandle::new(tokio::spawn(Box::into_pin(sent)));
            let (writes, to_write) = mpsc::channel(WAITING_STEPS);
            let (reads, to_read) = mpsc::channel(WAITING_STEPS);
            let write = write_all(pieces, to_write, copies.clone(), answers.clone());
            let read = answer_and_read(ask, sent, to_read, copies, held);
            tokio::select! {
                // Whichever ends, the request has: it was given up, or there is no answer to it.
                () = sort(steps, writes, reads) => {}
                () = read => {}
                // Writes end before that, when the server has the whole body.
                () = async { write.await; std::future::pending().await } => {}
            }
        }
    }
}

/// Hands what is asked to those who do it. Ends when nothing more is asked, or more than an honest process would ask.
async fn sort(mut steps: mpsc::Receiver<Asked>, writes: mpsc::Sender<Asked>, reads: mpsc::Sender<Asked>) {
    while let Some((ask, step)) = steps.recv().await {
        let to = match step {
            Step::Write { .. } | Step::Finish => &writes,
            Step::Read { .. } | Step::NextPart => &reads,
        };
        // What is left without an answer is refused.
        if to.try_send((ask, step)).is_err() {
            return;
        }
    }
}

/// Passes the body on, as fast as the server takes it.
async fn write_all(
    mut pieces: Option<Pieces>,
    mut steps: mpsc::Receiver<Asked>,
    copies: Copies,
    answers: Answers,
) {
    while let Some((ask, step)) = steps.recv().await {
        match step {
            Step::Write { slot, length } => match copies.get(slot, length as usize).await {
                Ok(bytes) => {
                    // A server that has answered need not take the rest.
                    if let Some(to) = &pieces {
                        let _ = to.send(Ok(bytes)).await;
                    }
                }
                Err(error) => {
                    let what = format!("taking bytes of the sandbox: {error}");
                    if let Some(to) = &pieces {
                        // The body breaks off, and does not end as if it were whole.
                        let _ = to.send(Err(Error::InternalError(Some(what.clone())))).await;
                    }
                    return answers.send(ask, Err(Refusal::Http(HttpError::Internal(what)))).await;
                }
            },
            _ => pieces = None,
        }
        answers.send(ask, Ok(Answer::Done)).await;
    }
}

/// Waits for the answer, and reads its body as it is asked for.
async fn answer_and_read(
    ask: AskId,
    sent: AbortOnDropHandle<Result<Sent, Error>>,
    mut steps: mpsc::Receiver<Asked>,
    copies: Copies,
    held: Arc<Served>,
) {
    let answers = &held.answers;
    let (response, _sending) = match sent.await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => return answers.send(ask, Err(Refusal::Http(wire_error(&error)))).await,
        Err(error) => {
            let error = HttpError::Internal(error.to_string());
            return answers.send(ask, Err(Refusal::Http(error))).await;
        }
    };
    let (parts, body) = response.into_parts();
    let head = Answer::Head { status: parts.status.as_u16(), headers: headers(&parts.headers) };
    let mut body = body.into_data_stream().boxed();
    answers.send(ask, Ok(head)).await;
    while let Some((ask, step)) = steps.recv().await {
        let read = match step {
            Step::Read { slot, max } => read(&mut body, &copies, &held, slot, max).await,
            _ => Err(HttpError::Protocol),
        };
        answers.send(ask, read.map_err(Refusal::Http)).await;
    }
}

async fn read(
    body: &mut stream::BoxStream<'static, Result<Bytes, Error>>,
    copies: &Copies,
    held: &Arc<Served>,
    slot: u32,
    max: u32,
) -> Result<Answer, HttpError> {
    let max = (max as usize).clamp(1, SLOT);
    loop {
        match body.next().await {
            None => return Ok(Answer::Bytes(0)),
            // An empty piece would be taken for the end.
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Ok(mut piece)) => {
                if piece.len() > max {
                    let rest = piece.split_off(max);
                    let whole = std::mem::replace(body, stream::empty().boxed());
                    *body = stream::iter([Ok(rest)]).chain(whole).boxed();
                }
                let length = u32::try_from(piece.len()).unwrap_or_default();
                let put = copies.put(slot, vec![piece], held.clone()).await;
                put.map_err(|error| HttpError::Internal(error.to_string()))?;
                return Ok(Answer::Bytes(length));
            }
            Some(Err(error)) => return Err(wire_error(&error)),
        }
    }
}

/// A request's body, and where its pieces come from. Dropping that ends the body.
fn body(has_body: bool) -> (Option<Pieces>, WasiBody) {
    if !has_body {
        return (None, Empty::new().map_err(|never| match never {}).boxed_unsync());
    }
    let (pieces, received) = mpsc::channel(WAITING_PIECES);
    let frames = stream::unfold(received, |mut received| async move {
        let piece: Result<Bytes, Error> = received.recv().await?;
        Some((piece.map(http_body::Frame::data), received))
    });
    (Some(pieces), StreamBody::new(frames).boxed_unsync())
}

fn wasi_request(request: &Request, body: WasiBody) -> Result<http::Request<WasiBody>, HttpError> {
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| HttpError::Protocol)?;
    let uri: Uri = request.uri.parse().map_err(|_| HttpError::UriInvalid)?;
    let mut made = http::Request::new(body);
    *made.method_mut() = method;
    *made.uri_mut() = uri;
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HttpError::Protocol)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| HttpError::Protocol)?;
        made.headers_mut().append(name, value);
    }
    Ok(made)
}

fn options(request: &Request) -> Option<RequestOptions> {
    Some(RequestOptions {
        connect_timeout: request.connect_timeout_ms.map(Duration::from_millis),
        first_byte_timeout: request.first_byte_timeout_ms.map(Duration::from_millis),
        between_bytes_timeout: None,
    })
}

fn wire_error(error: &Error) -> HttpError {
    match error {
        Error::HttpRequestDenied => HttpError::Denied,
        Error::HttpRequestUriInvalid => HttpError::UriInvalid,
        Error::HttpProtocolError => HttpError::Protocol,
        Error::DestinationIpProhibited => HttpError::DestinationIpProhibited,
        Error::DestinationUnavailable => HttpError::DestinationUnavailable,
        Error::ConnectionTimeout => HttpError::ConnectionTimeout,
        Error::ConnectionReadTimeout => HttpError::ConnectionReadTimeout,
        Error::ConnectionLimitReached => HttpError::ConnectionLimitReached,
        Error::InternalError(Some(text)) => HttpError::Internal(text.clone()),
        other => HttpError::Internal(posemesh_text::one_line(other, 400)),
    }
}
