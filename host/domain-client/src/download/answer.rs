//! One answer to a download, read event by event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posemesh_domain_data::cid::DataQuery;
use posemesh_domain_data::multipart::{BodyEnd, MultipartEvent, MultipartLimits, MultipartReader};
use posemesh_net::http::cause;
use reqwest::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use reqwest::{Method, Response};
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::download::pass_error::PassError;
use crate::download::settings::DownloadSettings;

/// What a download does, for errors.
pub(super) const WHAT: &str = "downloading an input";
/// Time for the end of the answer after its closing boundary has come, however many bytes still come.
const AFTER_CLOSED: Duration = Duration::from_secs(1);

/// The request for what a query names.
pub(super) fn call(client: &TaskClient, query: &DataQuery) -> ApiCall {
    let url = client.server().data_url(query.to_query_string().as_deref());
    ApiCall::new(WHAT, Method::GET, url).accept("multipart/form-data")
}

/// The answer to a download, while it comes.
pub(super) struct Answer {
    client: Arc<TaskClient>,
    response: Response,
    reader: MultipartReader,
    /// Time that may pass without any bytes.
    idle_timeout: Duration,
    /// Whether the end of the body can be told from a cut.
    has_end: bool,
}

impl Answer {
    /// # Errors
    /// When the answer is no form.
    pub(super) fn new(
        client: Arc<TaskClient>,
        settings: &DownloadSettings,
        idle_timeout: Duration,
        response: Response,
    ) -> Result<Self, PassError> {
        let limits = MultipartLimits {
            header_bytes: settings.max_part_header_bytes,
            part_bytes: settings.max_part_bytes,
            parts: settings.max_parts,
        };
        // Without either, the end of the connection is the end of the answer, and a cut can't be told from it.
        let has_end =
            response.content_length().is_some() || response.headers().contains_key(TRANSFER_ENCODING);
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let reader = MultipartReader::from_content_type(content_type, limits)?;
        Ok(Self { client, response, reader, idle_timeout, has_end })
    }

    /// The next event; none when the closing boundary has come, or no more bytes come. The network is read only when all
    /// that came was taken, so that a slow runner slows the connection instead of filling memory.
    ///
    /// # Errors
    /// When the connection breaks or stalls, or the body is irregular.
    pub(super) async fn next(&mut self) -> Result<Option<MultipartEvent>, PassError> {
        loop {
            if let Some(event) = self.reader.next_event()? {
                return Ok(Some(event));
            }
            if self.is_closed() {
                return Ok(None);
            }
            let Some(chunk) =
                next_chunk(&mut self.response, self.idle_timeout).await.map_err(PassError::Broken)?
            else {
                return Ok(None);
            };
            self.feed(chunk);
        }
    }

    /// Whether the closing boundary has come: all parts have, and nobody need wait for the end of the body.
    pub(super) fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }

    /// Reads what follows the closing boundary: nothing but blanks, most likely, and the connection can serve again.
    async fn drain(&mut self) -> Result<(), PassError> {
        let until = Instant::now() + AFTER_CLOSED;
        // All parts have come; how the connection ends does not matter.
        while let Ok(Ok(Some(chunk))) = timeout_at(until, self.response.chunk()).await {
            self.feed(chunk);
            self.reader.next_event()?;
        }
        Ok(())
    }

    fn feed(&mut self, chunk: Bytes) {
        // Counted before parsing: bytes that are skipped or compared after a cut crossed the network too.
        self.client.traffic().received(chunk.len());
        self.reader.feed(chunk);
    }

    /// Ends the answer, and hands over how its body ended to `judge`.
    ///
    /// # Errors
    /// When it ended too early, or has more than blanks after its closing boundary, or as `judge` says.
    pub(super) async fn end(
        mut self,
        judge: impl FnOnce(BodyEnd) -> Result<(), PassError>,
    ) -> Result<(), PassError> {
        if self.is_closed() {
            self.drain().await?;
        }
        match self.reader.finish().map_err(PassError::from).and_then(judge) {
            Err(PassError::Short(error)) if !self.has_end => Err(PassError::Broken(error)),
            other => other,
        }
    }
}

async fn next_chunk(response: &mut Response, limit: Duration) -> Result<Option<Bytes>, DomainError> {
    match timeout(limit, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => Err(DomainError::Cut(cause(&error))),
        Err(_) => Err(DomainError::Stalled { what: WHAT, phase: "reading the answer", after: limit }),
    }
}
