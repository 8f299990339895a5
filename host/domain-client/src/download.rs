//! Downloads an input in the background, a few chunks ahead of the runner, and resumes a download that is cut.

pub(crate) mod budget;
mod checks;
mod cuts;
pub(crate) mod delivery;
mod pass_error;
mod progress;
pub(crate) mod settings;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posemesh_domain_data::cid::DataQuery;
use posemesh_domain_data::multipart::{MultipartEvent, MultipartLimits, MultipartReader};
use posemesh_net::http::cause;
use reqwest::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use reqwest::{Method, Response};
use tokio::time::{sleep, timeout};

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::download::budget::DownloadBudget;
use crate::download::cuts::CutCounter;
use crate::download::delivery::{Deliverer, Deliveries, PartDelivery};
use crate::download::pass_error::PassError;
use crate::download::progress::DownloadProgress;
use crate::download::settings::DownloadSettings;
use crate::servers::ServerWait;
use crate::traffic::InputReading;

const WHAT: &str = "downloading an input";
/// Time for the end of the answer after its closing boundary has come.
const AFTER_CLOSED: Duration = Duration::from_secs(1);

/// The download of what one query names (protocol 6.2).
pub(crate) struct InputDownload {
    client: Arc<TaskClient>,
    settings: DownloadSettings,
    progress: DownloadProgress,
    reading: Arc<InputReading>,
    out: Deliverer,
}

impl InputDownload {
    /// Prepares a download, and returns it with what it will deliver.
    pub(crate) fn new(
        client: Arc<TaskClient>,
        settings: DownloadSettings,
        budget: Arc<DownloadBudget>,
        query: DataQuery,
    ) -> (Self, Deliveries) {
        let (out, deliveries) = Deliverer::new(budget);
        let progress = DownloadProgress::new(query, client.server().domain_id(), client.task_id());
        (Self { client, settings, progress, reading: Arc::default(), out }, deliveries)
    }

    /// Whether the runner reads it yet.
    pub(crate) fn reading(&self) -> &Arc<InputReading> {
        &self.reading
    }

    /// Runs until everything was delivered, nobody listens any more, or an error was delivered.
    pub(crate) async fn run(mut self) {
        let mut cuts = CutCounter::new(&self.settings);
        let mut waiting: Option<ServerWait> = None;
        let result = loop {
            let before = self.progress.delivered_bytes();
            let cut = self.pass().await;
            if self.progress.delivered_bytes() > before {
                cuts.got_further();
            }
            let (error, goes_on) = match cut {
                Ok(()) => break Ok(()),
                // Nobody reads the queue any more, so there is nobody to deliver a result to.
                Err(PassError::Abandoned) => return,
                Err(PassError::Failed(error)) => break Err(error),
                Err(PassError::Short(error)) => (error, cuts.short()),
                Err(PassError::Broken(error)) => (error, cuts.broken()),
            };
            // The cut came after the last byte that was wanted: asking again would bring nothing new.
            if self.progress.is_complete() {
                break Ok(());
            }
            if !goes_on {
                break Err(error);
            }
            // The retries of `open` do not cover this: an answer that is cut later was a success there.
            let wait = self.client.settings().retry.backoff(cuts.count());
            tracing::debug!(task_id = %self.client.task_id(), %error, cuts = cuts.count(), "taking a download up again");
            let waiting = waiting.get_or_insert_with(|| self.client.at_server().wait());
            waiting.failed(error.blame(), error.to_string());
            sleep(wait).await;
        };
        if let Some(waiting) = waiting {
            waiting.over();
        }
        self.out.finish(result).await;
    }

    /// Asks once and reads the answer to its end.
    async fn pass(&mut self) -> Result<(), PassError> {
        let query = self.progress.begin_pass();
        let url = self.client.server().data_url(query.to_query_string().as_deref());
        let call = ApiCall::new(WHAT, Method::GET, url).accept("multipart/form-data");
        let mut response = self.client.open(&call).await?;
        let limits = MultipartLimits {
            header_bytes: self.settings.max_part_header_bytes,
            part_bytes: self.settings.max_part_bytes,
            parts: self.settings.max_parts,
        };
        // Without either, the end of the connection is the end of the answer, and a cut can't be told from it.
        let has_end =
            response.content_length().is_some() || response.headers().contains_key(TRANSFER_ENCODING);
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut reader = MultipartReader::from_content_type(content_type, limits)?;
        let idle_timeout = self.client.settings().idle_timeout;
        loop {
            let limit = if reader.is_closed() { AFTER_CLOSED } else { idle_timeout };
            let chunk = match next_chunk(&mut response, limit).await {
                // All has come; how the connection ends does not matter.
                Err(_) if reader.is_closed() => break,
                other => other.map_err(PassError::Broken)?,
            };
            let Some(chunk) = chunk else { break };
            // Counted before parsing: bytes that are skipped or compared after a cut crossed the network too.
            self.client.traffic().received(chunk.len());
            reader.feed(chunk);
            // Emptied before the next chunk is read, so that a slow runner slows the connection instead of
            // filling memory.
            while let Some(event) = reader.next_event()? {
                self.process(event).await?;
            }
        }
        match reader.finish().map_err(PassError::from).and_then(|end| self.progress.end_pass(end)) {
            Err(PassError::Short(error)) if !has_end => Err(PassError::Broken(error)),
            other => other,
        }
    }

    async fn process(&mut self, event: MultipartEvent) -> Result<(), PassError> {
        match event {
            MultipartEvent::Part(head) => match self.progress.begin_part(head)? {
                Some(part) => self.out.send(PartDelivery::Part(part)).await,
                None => Ok(()),
            },
            MultipartEvent::Data(bytes) => self.out.data(self.progress.data(bytes)?).await,
            MultipartEvent::PartEnd => match self.progress.end_part() {
                Some((part, sha256)) => {
                    self.client.at_server().worked(WHAT);
                    self.reading.part_ended(self.client.traffic(), part, sha256);
                    self.out.send(PartDelivery::PartEnd).await
                }
                None => Ok(()),
            },
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
