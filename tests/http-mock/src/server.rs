//! The server.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::log::RequestLog;
use crate::reply::Reply;
use crate::request::RecordedRequest;

/// A server on loopback. It ends when it is dropped.
pub struct MockServer {
    address: SocketAddr,
    log: RequestLog,
    _server: AbortOnDropHandle<()>,
}

struct MockState {
    script: Box<ReplyScript>,
    log: RequestLog,
}

type ReplyScript = dyn Fn(&RecordedRequest, usize) -> Reply + Send + Sync;

impl MockServer {
    /// Starts a server that answers as `script` says, which gets the request and the number of requests before it.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl Fn(&RecordedRequest, usize) -> Reply + Send + Sync + 'static) -> Self {
        let log = RequestLog::default();
        let shared = Arc::new(MockState { script: Box::new(script), log: log.clone() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("the listener's address");
        let service = Router::new()
            .fallback(answer)
            .with_state(shared)
            .into_make_service_with_connect_info::<SocketAddr>();
        let server =
            tokio::spawn(async move { axum::serve(listener, service).await.expect("axum never fails") });
        Self { address, log, _server: AbortOnDropHandle::new(server) }
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's URL, without a path.
    ///
    /// # Panics
    /// Never: an address makes a URL.
    pub fn url(&self) -> Url {
        format!("http://{}", self.address).parse().expect("an address makes a URL")
    }

    /// The requests so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.log.requests()
    }

    /// The most of the chosen requests that the server was busy with at the same time.
    pub fn most_at_once(&self, choose: impl Fn(&RecordedRequest) -> bool) -> usize {
        self.log.most_at_once(choose)
    }
}

async fn answer(
    State(shared): State<Arc<MockState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let arrived = shared.log.now();
    let (head, body) = request.into_parts();
    // A body that breaks off makes no request.
    let Ok(body) = to_bytes(body, usize::MAX).await else { return Response::new(Body::empty()) };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let request =
        RecordedRequest { method: head.method.to_string(), target, headers: head.headers, body, peer };
    let number = shared.log.record(request.clone(), arrived);
    let _answered = OnDrop { log: &shared.log, number };
    let reply = (shared.script)(&request, number);
    reply.wait().await;
    reply.into_response()
}

/// Notes the end of a request, also when its client goes away before it.
struct OnDrop<'a> {
    log: &'a RequestLog,
    number: usize,
}

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.log.answered(self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn overlapping_requests_are_told_from_those_one_after_the_other() {
        let both = Arc::new(Barrier::new(2));
        let server = MockServer::start(move |request, _| match request.path() {
            "/together" => Reply::status(204).at(&both),
            _ => Reply::status(204),
        })
        .await;
        let client = posemesh_net::http::client_builder().build().unwrap();
        let get = |path: &str| client.get(server.url().join(path).unwrap()).send();
        let (one, two) = tokio::join!(get("together"), get("together"));
        one.and(two).unwrap();
        for _ in 0..2 {
            get("alone?n=1").await.unwrap();
        }
        assert_eq!(server.most_at_once(|request| request.path() == "/together"), 2);
        assert_eq!(server.most_at_once(|request| request.path() == "/alone"), 1);
        assert_eq!(server.requests()[3].line(), "GET /alone?n=1");
    }
}
