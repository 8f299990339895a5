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
use crate::sandbox::arena::{Arena, SLOT};
use crate::sandbox::node::steps::{Answers, Asked, Step};
use crate::sandbox::wire::{Answer, AskId, HttpError, Refusal, Request, headers};

/// Pieces of a request's body that may wait for the server.
const WAITING_PIECES: usize = 2;

/// The way out of one call. Clones share its budgets.
#[derive(Clone)]
pub(super) struct Requests(Arc<Mutex<Outbound>>);

impl Requests {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self(Arc::new(Mutex::new(outbound)))
    }

    /// Sends one request and serves its bodies.
    pub(super) fn serve(
        &self,
        ask: AskId,
        request: Request,
        mut steps: mpsc::Receiver<Asked>,
        arena: Arena,
        answers: Answers,
    ) -> impl Future<Output = ()> + Send + use<> {
        let outbound = self.0.clone();
        async move {
            let (mut pieces, body) = body(request.has_body);
            let sent = match wasi_request(&request, body) {
                Ok(request_) => {
                    let mut outbound = outbound.lock().unwrap_or_else(PoisonError::into_inner);
                    outbound.send_request(request_, options(&request), Box::new(std::future::ready(Ok(()))))
                }
                Err(error) => return answers.send(ask, Err(Refusal::Http(error))).await,
            };
            // On its own, since the body is pulled by it while pieces are waited for here.
            let mut sent = AbortOnDropHandle::new(tokio::spawn(Box::into_pin(sent)));
            let mut answer: Option<stream::BoxStream<'static, Result<Bytes, Error>>> = None;
            loop {
                tokio::select! {
                    // The head arrives while the body is still being written.
                    head = &mut sent, if answer.is_none() => match head {
                        Ok(Ok((response, _))) => {
                            let (parts, body) = response.into_parts();
                            let head = Answer::Head { status: parts.status.as_u16(), headers: headers(&parts.headers) };
                            answer = Some(body.into_data_stream().boxed());
                            answers.send(ask, Ok(head)).await;
                        }
                        Ok(Err(error)) => return answers.send(ask, Err(Refusal::Http(wire_error(&error)))).await,
                        Err(error) => {
                            let error = HttpError::Internal(error.to_string());
                            return answers.send(ask, Err(Refusal::Http(error))).await;
                        }
                    },
                    step = steps.recv() => match step {
                        Some((ask, Step::Write(bytes))) => {
                            // Waits until the server takes it; the head may come meanwhile, and is seen afterwards.
                            if let Some(to) = &pieces {
                                let _ = to.send(Ok(bytes)).await;
                            }
                            answers.send(ask, Ok(Answer::Done)).await;
                        }
                        Some((ask, Step::Finish)) => {
                            pieces = None;
                            answers.send(ask, Ok(Answer::Done)).await;
                        }
                        Some((ask, Step::Read { slot, max })) => {
                            let read = read(answer.as_mut(), &arena, slot, max).await;
                            answers.send(ask, read.map_err(Refusal::Http)).await;
                        }
                        Some((ask, Step::NextPart)) => {
                            answers.send(ask, Err(Refusal::Http(HttpError::Protocol))).await;
                        }
                        None => return,
                    },
                }
            }
        }
    }
}

async fn read(
    body: Option<&mut stream::BoxStream<'static, Result<Bytes, Error>>>,
    arena: &Arena,
    slot: u32,
    max: u32,
) -> Result<Answer, HttpError> {
    // Before there is an answer there is nothing to read.
    let Some(body) = body else { return Err(HttpError::Protocol) };
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
                arena.put(slot, 0, &piece).map_err(|error| HttpError::Internal(error.to_string()))?;
                return Ok(Answer::Bytes(u32::try_from(piece.len()).unwrap_or_default()));
            }
            Some(Err(error)) => return Err(wire_error(&error)),
        }
    }
}

/// A request's body, and where its pieces come from. Dropping that ends the body.
fn body(has_body: bool) -> (Option<mpsc::Sender<Result<Bytes, Error>>>, WasiBody) {
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
