//! The inputs of a task (protocol 6.2 and 6.4).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_domain_data::cid::Query;
use posemesh_domain_data::excerpt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::access::Access;
use super::download::{AHEAD, Ahead, Download, Message};
use super::error::StorageError;
use posemesh_runner_api::ports::{InputPort, PartInfo, PartStream, PortError};

/// How long to wait for an input that was just closed, or has just come to its end, to make room for another.
const PLACE_WAIT: Duration = Duration::from_secs(1);

/// Opens CIDs of the lease's domain.
pub(super) struct DomainInputs {
    access: Arc<Access>,
}

impl DomainInputs {
    pub fn new(access: Arc<Access>) -> Self {
        Self { access }
    }
}

#[async_trait]
impl InputPort for DomainInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        let lease = &self.access.lease;
        let query = Query::parse(cid, &lease.base_url, lease.domain_id).map_err(StorageError::from)?;
        let place = timeout(PLACE_WAIT, Arc::clone(&self.access.open_inputs).acquire_owned());
        let Ok(Ok(open)) = place.await else {
            return Err(PortError::limit(format!(
                "a task may have {} inputs open; read one to its end or close it before the next",
                self.access.settings().max_open_inputs
            )));
        };
        // Not the CID as it was given: a URL may hold what is not meant for logs.
        let label = format!("input {}", excerpt(&query.to_query_string().unwrap_or_default(), 120));
        let (sender, messages) = mpsc::channel(AHEAD);
        let download = Download::new(Arc::clone(&self.access), query, sender);
        let mut parts = Parts {
            access: Arc::clone(&self.access),
            messages,
            download: AbortOnDropHandle::new(tokio::spawn(async move {
                download.run().await;
                // An input whose bytes have all come is a place free, whether its handle is dropped or not: some
                // languages drop late.
                drop(open);
            })),
            first: None,
            at: At::Start,
            chunk: None,
            label,
        };
        parts.first = parts.next_part().await?;
        match parts.first {
            Some(_) => Ok(Box::new(parts)),
            None => Err(PortError::not_found("the input has no parts".to_owned())),
        }
    }
}

/// Where in the stream the runner is.
#[derive(Debug, Clone)]
enum At {
    Start,
    InPart,
    AfterPart,
    End,
    Failed(PortError),
}

struct Parts {
    access: Arc<Access>,
    messages: mpsc::Receiver<Result<Message, StorageError>>,
    /// Ends with the stream: a runner that stops reading stops the download.
    download: AbortOnDropHandle<()>,
    /// The part that `open` has come upon, for the first `next_part`.
    first: Option<PartInfo>,
    at: At,
    /// What came of the current part and was not read to its end yet.
    chunk: Option<Ahead>,
    /// What it is, for errors.
    label: String,
}

impl Parts {
    /// The next message; after an error, that error again.
    async fn next_message(&mut self) -> Result<Message, PortError> {
        if let At::Failed(error) = &self.at {
            return Err(error.clone());
        }
        let received = async {
            let gone = || StorageError::Cut("the download ended without saying why".to_owned());
            self.messages.recv().await.unwrap_or_else(|| Err(gone()))
        };
        let result = self.access.until_stopped(received).await;
        let result = result.map_err(|error| PortError::from(error).about(&self.label));
        match &result {
            Ok(Message::Part(_)) => self.at = At::InPart,
            Ok(Message::Data(_)) => {}
            Ok(Message::PartEnd) => self.at = At::AfterPart,
            Ok(Message::End) => self.at = At::End,
            Err(error) => {
                self.download.abort();
                self.at = At::Failed(error.clone());
            }
        }
        result
    }
}

#[async_trait]
impl PartStream for Parts {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        self.chunk = None;
        if matches!(self.at, At::End) {
            return Ok(None);
        }
        loop {
            match self.next_message().await? {
                Message::Part(info) => return Ok(Some(info)),
                Message::End => return Ok(None),
                Message::Data(_) | Message::PartEnd => {}
            }
        }
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        if max_bytes == 0 || matches!(self.at, At::Start) || self.first.is_some() {
            let why = "reading an input: it takes a part, from next_part, and a size above 0";
            return Err(PortError::invalid(why.to_owned()));
        }
        loop {
            if let Some(ahead) = self.chunk.as_mut().filter(|ahead| !ahead.bytes.is_empty()) {
                let bytes = ahead.bytes.split_to(ahead.bytes.len().min(max_bytes));
                self.chunk.take_if(|ahead| ahead.bytes.is_empty());
                return Ok(bytes);
            }
            if matches!(self.at, At::AfterPart | At::End) {
                return Ok(Bytes::new());
            }
            if let Message::Data(ahead) = self.next_message().await? {
                self.chunk = Some(ahead);
            }
        }
    }
}
