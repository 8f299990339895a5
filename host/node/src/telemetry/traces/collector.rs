//! The way to the collector: the node's own HTTP client, with its proxies and certificates.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use posemesh_net::http::{cause, client_builder, peer, read_body};
use posemesh_text::one_line;
use prost::Message as _;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Time for one request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read. It says which spans were refused.
const MAX_ANSWER: usize = 64 << 10;
/// How much of an answer or error is logged.
const SHOWN_BYTES: usize = 300;

/// Sends requests on the node's runtime; whoever waits is a thread of its own.
#[derive(Debug)]
pub(super) struct Collector {
    runtime: Handle,
    /// Made with the first request: by then the node knows its proxies.
    client: OnceLock<reqwest::Client>,
    /// The last request failed, which is logged once.
    failed: AtomicBool,
}

impl Collector {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime, client: OnceLock::new(), failed: AtomicBool::new(false) }
    }

    fn client(&self) -> Result<reqwest::Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = client_builder().timeout(REQUEST_TIMEOUT).build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    fn tell(&self, server: &str, problem: Option<String>) {
        match problem {
            Some(why) if !self.failed.swap(true, Ordering::Relaxed) => {
                let why = one_line(why, SHOWN_BYTES);
                tracing::warn!(
                    server,
                    "traces can't be delivered, or not all of them; spans may be dropped until they can: {why}; is \
                     OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) a collector that takes OTLP over HTTP?"
                );
            }
            None if self.failed.swap(false, Ordering::Relaxed) => {
                tracing::info!(server, "traces are delivered again");
            }
            _ => {}
        }
    }
}

/// What is wrong with an answer that says all is well. Not in its own words: they may be the request again.
fn refused(body: &[u8]) -> Option<String> {
    let Ok(answer) = ExportTraceServiceResponse::decode(body) else {
        return Some("its answer is not OTLP; another server may answer there".to_owned());
    };
    let spans = answer.partial_success.map(|part| part.rejected_spans).filter(|spans| *spans > 0)?;
    Some(format!("it rejected {spans} spans of a request"))
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let (client, server) = (self.client()?, peer(request.url()));
        let answered = AbortOnDropHandle::new(self.runtime.spawn(async move {
            let answer = client.execute(request).await.map_err(|error| cause(&error))?;
            let status = answer.status();
            let body = read_body(answer, MAX_ANSWER)
                .await
                .map_err(|_| format!("its answer was cut, or has more than {MAX_ANSWER} bytes"))?;
            Ok::<_, String>((status, body))
        }));
        let answered = answered.await.unwrap_or_else(|error| Err(error.to_string()));
        let problem = match &answered {
            Ok((status, body)) if status.is_success() => refused(body),
            // Not what else it says: that may be the request again, with the headers that are a secret.
            Ok((status, _)) => Some(format!("it answered {status}")),
            Err(why) => Some(why.clone()),
        };
        self.tell(&server, problem);
        let (status, body) = answered?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}
