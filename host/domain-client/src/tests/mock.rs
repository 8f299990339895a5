//! A domain server that follows a script.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{Barrier, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::{A, B, DOMAIN};

/// A request that arrived, whole.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Method and the part of the path after the domain, as in `PUT /data/multipart?uploadId=U`.
    pub fn line(&self) -> String {
        let rest = self.target.split(DOMAIN).last().unwrap();
        format!("{} {rest}", self.method)
    }
}

pub(super) enum Reply {
    Whole(u16, &'static str, Bytes),
    /// With `Retry-After`.
    Later(u16, &'static str),
    Redirect(String),
    /// As much as comes from the channel; an error cuts the connection.
    Stream(mpsc::Receiver<Result<Bytes, std::io::Error>>),
    Never,
    /// When so many requests are there.
    Together(Arc<Barrier>, Box<Reply>),
    /// A little later, so that requests overlap that can.
    Slowly(Box<Reply>),
}

impl Reply {
    pub fn json(value: Value) -> Self {
        Self::Whole(200, "application/json", value.to_string().into())
    }

    pub fn status(status: u16) -> Self {
        Self::Whole(status, "text/plain", Bytes::new())
    }

    pub fn parts(body: Vec<u8>) -> Self {
        Self::Whole(200, "multipart/form-data; boundary=B", body.into())
    }

    /// Sends these bytes and then cuts the connection, or stalls.
    pub fn broken(start: &[u8], cut: bool) -> Self {
        let (sender, receiver) = mpsc::channel(2);
        sender.try_send(Ok(Bytes::copy_from_slice(start))).unwrap();
        if cut {
            sender.try_send(Err(std::io::Error::other("cut"))).unwrap();
        } else {
            std::mem::forget(sender);
        }
        Self::Stream(receiver)
    }
}

type Script = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// Parts of sessions that are being answered, and the most that were at the same time.
    /// Parts of sessions that are being answered, and the most that were at the same time.
    parts: AtomicUsize,
    most_parts: AtomicUsize,
    script: Box<Script>,
}

/// A domain server that answers each request as the script says; the script is told how many requests
/// came before.
pub(super) struct Mock {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _server: AbortOnDropHandle<()>,
}

impl Mock {
    pub async fn start(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            parts: AtomicUsize::new(0),
            most_parts: AtomicUsize::new(0),
            script: Box::new(script),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, _server: AbortOnDropHandle::new(server) }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    pub fn most_parts_in_flight(&self) -> usize {
        self.shared.most_parts.load(Ordering::SeqCst)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let is_part = request.uri().query().is_some_and(|query| query.contains("partNumber"));
    if is_part {
        let now = shared.parts.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_parts.fetch_max(now, Ordering::SeqCst);
    }
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return Response::new(Body::empty()) };
    let target = head.uri.path_and_query().unwrap().to_string();
    let seen = Seen { method: head.method.to_string(), target, headers: head.headers, body };
    let before = {
        let mut all = shared.seen.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    let mut reply = (shared.script)(&seen, before);
    loop {
        reply = match reply {
            Reply::Together(barrier, then) => {
                barrier.wait().await;
                *then
            }
            Reply::Slowly(then) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                *then
            }
            _ => break,
        }
    }
    if is_part {
        shared.parts.fetch_sub(1, Ordering::SeqCst);
    }
    let builder = Response::builder();
    let response = match reply {
        Reply::Whole(status, kind, body) => {
            builder.status(status).header("content-type", kind).body(Body::from(body))
        }
        Reply::Later(status, after) => {
            builder.status(status).header("retry-after", after).body(Body::empty())
        }
        Reply::Redirect(to) => builder.status(307).header("location", to).body(Body::empty()),
        Reply::Stream(receiver) => {
            let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
                let item = receiver.recv().await?;
                // Lets what was sent before a cut reach the client.
                if item.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some((item, receiver))
            });
            builder
                .header("content-type", "multipart/form-data; boundary=B")
                .body(Body::from_stream(stream.boxed()))
        }
        Reply::Never => std::future::pending().await,
        Reply::Together(..) | Reply::Slowly(_) => unreachable!(),
    };
    response.unwrap()
}

/// What an ordinary server says to uploads: sessions with parts of this size, nothing there yet.
pub(super) fn ordinary(seen: &Seen, request_max_bytes: i64, part_size: Value) -> Reply {
    let line = seen.line();
    let query = line.split_once('?').map_or("", |(_, query)| query);
    match (seen.method.as_str(), query) {
        ("GET", _) if line.ends_with("/api/v1/info") => Reply::json(
            json!({"upload": {"request_max_bytes": request_max_bytes, "multipart": {"enabled": true}, "more": 1}}),
        ),
        ("GET", _) => Reply::json(json!({"data": []})),
        ("POST", "uploads") => {
            Reply::json(json!({"upload_id": "u/1", "part_size": part_size, "expires_at": "x"}))
        }
        ("PUT", query) if query.contains("partNumber=") => {
            Reply::json(json!({"etag": format!("etag-{}", query.rsplit('=').next().unwrap())}))
        }
        ("POST", query) if query.starts_with("uploadId=") => Reply::json(json!({"id": B})),
        ("POST" | "PUT", _) => Reply::json(json!({"data": [{"id": A, "domain_id": DOMAIN}]})),
        _ => Reply::status(200),
    }
}
