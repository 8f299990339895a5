//! The input port of a task: CIDs of the lease's domain (protocol 6.2 and 6.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_domain_data::cid::{DataQuery, other_server};
use posemesh_runner_api::ports::{InputPort, PartInfo, PartStream, PortError};
use posemesh_text::one_line;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::download::InputDownload;
use crate::download::budget::DownloadBudget;
use crate::download::delivery::{Chunk, Deliveries, PartDelivery};
use crate::download::settings::DownloadSettings;
use crate::stop::until_stopped;

/// Opens CIDs of the lease's domain.
pub(crate) struct DomainInputs {
    client: Arc<TaskClient>,
    settings: DownloadSettings,
    budget: Arc<DownloadBudget>,
    stop: CancellationToken,
    told_other_server: AtomicBool,
}

impl DomainInputs {
    pub(crate) fn new(client: Arc<TaskClient>, settings: DownloadSettings, stop: CancellationToken) -> Self {
        let budget = Arc::new(DownloadBudget::new(&settings));
        Self { client, settings, budget, stop, told_other_server: AtomicBool::new(false) }
    }

    /// Says that a CID names another server, once for the task: its CIDs are likely all of one kind.
    fn tell_other_server(&self, named: &str) {
        if !self.told_other_server.swap(true, Ordering::Relaxed) {
            let (task_id, server) = (self.client.task_id(), self.client.server().origin());
            tracing::info!(
                %task_id, named, server, "a CID names another server; the request goes to the lease's domain server"
            );
        }
    }
}

#[async_trait]
impl InputPort for DomainInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        let server = self.client.server();
        let query =
            DataQuery::parse(cid, server.base_url(), server.domain_id()).map_err(DomainError::from)?;
        if let Some(named) = other_server(cid, server.base_url()) {
            self.tell_other_server(&named);
        }
        // After parsing, so that a CID that is refused takes no place from others.
        let slot = self.budget.open_input().await?;
        // Not the CID as it was given: a URL may hold what is not meant for logs.
        let label = format!("input {}", one_line(query.to_query_string().unwrap_or_default(), 120));
        let (client, budget) = (Arc::clone(&self.client), Arc::clone(&self.budget));
        let (download, deliveries) =
            InputDownload::new(Arc::clone(&client), self.settings.clone(), budget, query);
        let download = AbortOnDropHandle::new(tokio::spawn(async move {
            download.run().await;
            // The place is free when all bytes have come, even if the handle is still there: some languages drop
            // handles late.
            drop(slot);
        }));
        let mut stream = DownloadStream {
            client,
            stop: self.stop.clone(),
            deliveries,
            download,
            first_part: None,
            position: StreamPosition::Start,
            chunk: None,
            label,
        };
        // The first part is awaited here, so that an input that does not exist fails when it is opened.
        stream.first_part = stream.next_part().await?;
        match stream.first_part {
            Some(_) => Ok(Box::new(stream)),
            None => Err(PortError::not_found("the input has no parts")),
        }
    }

    fn unanswered(&self) -> Option<PortError> {
        self.client.unanswered()
    }
}

/// Where in the stream the runner is.
#[derive(Debug, Clone)]
enum StreamPosition {
    Start,
    InPart,
    AfterPart,
    End,
    Failed(PortError),
}

/// An opened input.
struct DownloadStream {
    client: Arc<TaskClient>,
    stop: CancellationToken,
    deliveries: Deliveries,
    /// Ends with the stream: a runner that stops reading stops the download.
    download: AbortOnDropHandle<()>,
    /// The part that `open` has received, for the first `next_part`.
    first_part: Option<PartInfo>,
    position: StreamPosition,
    /// The part of the last chunk that was not read yet.
    chunk: Option<Chunk>,
    /// The input, for errors.
    label: String,
}

impl DownloadStream {
    /// The next delivery; after an error, that error again.
    async fn next(&mut self) -> Result<PartDelivery, PortError> {
        if let StreamPosition::Failed(error) = &self.position {
            return Err(error.clone());
        }
        let received = async {
            let gone = || DomainError::Cut("the download ended without saying why".to_owned());
            self.deliveries.recv().await.unwrap_or_else(|| Err(gone()))
        };
        let result = until_stopped(&self.stop, received).await;
        let result = result.map_err(|error| self.client.port_error(error).about(&self.label));
        match &result {
            Ok(PartDelivery::Part(_)) => self.position = StreamPosition::InPart,
            Ok(PartDelivery::Data(_)) => {}
            Ok(PartDelivery::PartEnd) => self.position = StreamPosition::AfterPart,
            Ok(PartDelivery::End) => self.position = StreamPosition::End,
            Err(error) => {
                // Nothing more will be read, so what still comes would only take memory and network.
                self.download.abort();
                self.position = StreamPosition::Failed(error.clone());
            }
        }
        result
    }
}

#[async_trait]
impl PartStream for DownloadStream {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if let Some(first) = self.first_part.take() {
            return Ok(Some(first));
        }
        // The runner skips the rest of its part; with the chunk its share of the read-ahead is released.
        self.chunk = None;
        if matches!(self.position, StreamPosition::End) {
            return Ok(None);
        }
        loop {
            match self.next().await? {
                PartDelivery::Part(info) => return Ok(Some(info)),
                PartDelivery::End => return Ok(None),
                // The rest of a part that the runner skips still has to be taken out of the queue.
                PartDelivery::Data(_) | PartDelivery::PartEnd => {}
            }
        }
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        if max_bytes == 0 || matches!(self.position, StreamPosition::Start) || self.first_part.is_some() {
            let why = "reading an input: it takes a part, from next_part, and a size above 0";
            return Err(PortError::invalid(why));
        }
        loop {
            if let Some(chunk) = self.chunk.as_mut().filter(|chunk| !chunk.bytes.is_empty()) {
                let bytes = chunk.bytes.split_to(chunk.bytes.len().min(max_bytes));
                // At once, not at the next read: an empty chunk would keep its share of the read-ahead.
                self.chunk.take_if(|chunk| chunk.bytes.is_empty());
                return Ok(bytes);
            }
            if matches!(self.position, StreamPosition::AfterPart | StreamPosition::End) {
                return Ok(Bytes::new());
            }
            if let PartDelivery::Data(chunk) = self.next().await? {
                self.chunk = Some(chunk);
            }
        }
    }
}
