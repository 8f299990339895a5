//! What a script answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::{Barrier, mpsc};
use tokio::time::sleep;

/// Time between the last bytes of a body and the cut of its connection, so that the bytes reach the client.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// An answer, and what happens before it is given.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: ReplyBody,
    delays: Vec<Delay>,
}

#[derive(Debug)]
enum ReplyBody {
    Whole(Bytes),
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

#[derive(Debug)]
enum Delay {
    Time(Duration),
    Barrier(Arc<Barrier>),
    Forever,
}

impl Reply {
    /// An answer without a body.
    ///
    /// # Panics
    /// When `status` is no status.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status from 100 to 999");
        Self { status, headers: Vec::new(), body: ReplyBody::Whole(Bytes::new()), delays: Vec::new() }
    }

    /// A plain text with a status.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let body = ReplyBody::Whole(text.into().into());
        Self { body, ..Self::status(status) }
            .header(header::CONTENT_TYPE.as_str(), "text/plain; charset=utf-8")
    }

    /// A success with JSON.
    pub fn json(value: &Value) -> Self {
        Self::bytes("application/json", value.to_string())
    }

    /// A success with these bytes.
    pub fn bytes(content_type: &str, body: impl Into<Bytes>) -> Self {
        let body = ReplyBody::Whole(body.into());
        Self { body, ..Self::status(200) }.header(header::CONTENT_TYPE.as_str(), content_type)
    }

    /// A success whose body is what comes from the channel, chunk by chunk. An error cuts the connection.
    pub fn stream(content_type: &str, chunks: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { body: ReplyBody::Stream(chunks), ..Self::bytes(content_type, "") }
    }

    /// The start of a body, after which the connection is cut.
    pub fn cut(content_type: &str, start: impl Into<Bytes>) -> Self {
        let (sender, chunks) = mpsc::channel(2);
        sender.try_send(Ok(start.into())).expect("the channel is empty");
        sender.try_send(Err(io::Error::other("cut"))).expect("the channel has room");
        Self::stream(content_type, chunks)
    }

    /// The start of a body, after which nothing comes.
    pub fn stalled(content_type: &str, start: impl Into<Bytes>) -> Self {
        let (sender, chunks) = mpsc::channel(1);
        sender.try_send(Ok(start.into())).expect("the channel is empty");
        std::mem::forget(sender);
        Self::stream(content_type, chunks)
    }

    /// No answer at all; the connection stays open.
    pub fn never() -> Self {
        Self::status(200).delay(Delay::Forever)
    }

    /// The same answer with another status.
    ///
    /// # Panics
    /// When `status` is no status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).expect("a status from 100 to 999"), ..self }
    }

    /// The same answer with another header.
    ///
    /// # Panics
    /// When it is no header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.parse().expect("a header name"), value.parse().expect("a header value")));
        self
    }

    /// The same answer, later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        self.delay(Delay::Time(time))
    }

    /// The same answer when so many wait at the barrier as it wants.
    #[must_use]
    pub fn at(self, barrier: &Arc<Barrier>) -> Self {
        self.delay(Delay::Barrier(Arc::clone(barrier)))
    }

    fn delay(mut self, delay: Delay) -> Self {
        self.delays.push(delay);
        self
    }

    /// Does what comes before the answer.
    pub(crate) async fn wait(&self) {
        for delay in &self.delays {
            match delay {
                Delay::Time(time) => sleep(*time).await,
                Delay::Barrier(barrier) => {
                    barrier.wait().await;
                }
                Delay::Forever => std::future::pending().await,
            }
        }
    }

    pub(crate) fn into_response(self) -> Response {
        let body = match self.body {
            ReplyBody::Whole(bytes) => Body::from(bytes),
            ReplyBody::Stream(chunks) => Body::from_stream(stream::unfold(chunks, |mut chunks| async move {
                let chunk = chunks.recv().await?;
                if chunk.is_err() {
                    sleep(BEFORE_CUT).await;
                }
                Some((chunk, chunks))
            })),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
