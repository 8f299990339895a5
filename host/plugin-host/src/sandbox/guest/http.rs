//! Outbound HTTP of a task, sent by the node: a sandbox process has no network. Whether a request may be sent is decided
//! there.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::sandbox::arena::SLOT;
use crate::sandbox::guest::link::{CallLink, Reply, http_error};
use crate::sandbox::wire::{Answer, Ask, AskId, HttpError, MAX_HEAD, Request, headers};

/// The answer of a request, and the work that goes on behind it.
type Answered = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// The way out of one call.
pub(crate) struct LinkedHttp(pub(crate) Arc<CallLink>);

impl WasiHttpHooks for LinkedHttp {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let link = self.0.clone();
        Box::new(async move {
            let (parts, body) = request.into_parts();
            let millis = |time: Option<std::time::Duration>| {
                time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
            };
            let head = Request {
                method: parts.method.to_string(),
                uri: parts.uri.to_string(),
                headers: headers(&parts.headers),
                has_body: !http_body::Body::is_end_stream(&body),
                connect_timeout_ms: millis(options.and_then(|options| options.connect_timeout)),
                first_byte_timeout_ms: millis(options.and_then(|options| options.first_byte_timeout)),
            };
            if head.bytes() > MAX_HEAD {
                return Err(Error::HttpRequestHeaderSectionSize(Some(MAX_HEAD as u32)));
            }
            let has_body = head.has_body;
            let under_way = link.slots().for_request().await.map_err(|_| Error::ConnectionLimitReached)?;
            let asked = link.ask(Ask::Request(head), None);
            // Ends the request with whatever is left of it.
            let opened = Opened {
                link: link.clone(),
                opened: asked.ask,
                body: has_body.then(|| send_body(link, asked.ask, body)),
                _under_way: under_way,
            };
            match asked.answered().await.map_err(|refusal| wasi_error(http_error(refusal)))? {
                Reply::Said(Answer::Head { status, headers }) => {
                    let mut response = http::Response::builder().status(status);
                    for (name, value) in headers {
                        let line = (HeaderName::try_from(name), HeaderValue::try_from(value));
                        if let (Ok(name), Ok(value)) = line {
                            response = response.header(name, value);
                        }
                    }
                    let response = response
                        .body(body_of(opened))
                        .map_err(|error| Error::InternalError(Some(error.to_string())))?;
                    let done: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
                    Ok((response, done))
                }
                _ => Err(Error::HttpProtocolError),
            }
        })
    }
}

/// A request that is under way: dropped, it is given up.
struct Opened {
    link: Arc<CallLink>,
    opened: AskId,
    body: Option<AbortHandle>,
    _under_way: OwnedSemaphorePermit,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(body) = &self.body {
            body.abort();
        }
        self.link.close(self.opened);
    }
}

/// Sends a request's body beside the wait for its answer. Its trailers are left out: hardly a server reads them.
fn send_body(link: Arc<CallLink>, opened: AskId, body: WasiBody) -> AbortHandle {
    let send = async move {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            // A body that breaks off: the node must not take it for a whole one.
            let Ok(chunk) = chunk else { return link.close(opened) };
            for piece in chunk.chunks(SLOT) {
                let Ok((slot, _right)) = link.slots().for_body().await else { return };
                if link.fill(&slot, 0, piece).is_err() {
                    return link.close(opened);
                }
                let asked = link.ask_write(opened, slot, piece.len());
                // The answer to the request says what went wrong.
                if asked.answered().await.is_err() {
                    return;
                }
            }
        }
        let _ = link.ask(Ask::Finish { opened }, None).answered().await;
    };
    tokio::spawn(send).abort_handle()
}

/// An answer's body, read as the guest wants it.
fn body_of(opened: Opened) -> WasiBody {
    let chunks = stream::try_unfold(opened, |opened| async move {
        let slot =
            opened.link.slots().take().await.map_err(|error| Error::InternalError(Some(error.text)))?;
        let asked = opened.link.ask_read_kept(opened.opened, slot, SLOT);
        match asked.answered().await.map_err(|refusal| wasi_error(http_error(refusal)))? {
            Reply::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Reply::Bytes(bytes) => Ok(Some((http_body::Frame::data(bytes), opened))),
            Reply::Said(_) | Reply::Whole(..) => Err(Error::HttpProtocolError),
        }
    });
    StreamBody::new(chunks).boxed_unsync()
}

/// An error that the node made, as wasmtime's.
fn wasi_error(error: HttpError) -> Error {
    match error {
        HttpError::Denied => Error::HttpRequestDenied,
        HttpError::UriInvalid => Error::HttpRequestUriInvalid,
        HttpError::Protocol => Error::HttpProtocolError,
        HttpError::DestinationIpProhibited => Error::DestinationIpProhibited,
        HttpError::DestinationUnavailable => Error::DestinationUnavailable,
        HttpError::ConnectionTimeout => Error::ConnectionTimeout,
        HttpError::ConnectionReadTimeout => Error::ConnectionReadTimeout,
        HttpError::ConnectionLimitReached => Error::ConnectionLimitReached,
        HttpError::Internal(text) => Error::InternalError(Some(text)),
    }
}
