//! Opens inputs: a download in the background, and the stream that the runner reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posemesh_domain_data::cid::{DataQuery, other_server};
use posemesh_runner_api::ports::{PartStream as _, PortError};
use posemesh_text::one_line;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::download::batch::{BatchDownload, BatchParts};
use crate::download::budget::DownloadBudget;
use crate::download::settings::DownloadSettings;
use crate::download::{InputDownload, log_part};
use crate::inputs::small::SmallInput;
use crate::inputs::stream::DownloadStream;
use crate::stop::until_stopped;

/// Opens CIDs of the lease's domain.
pub(super) struct InputOpener {
    client: Arc<TaskClient>,
    settings: DownloadSettings,
    budget: Arc<DownloadBudget>,
    stop: CancellationToken,
    told_other_server: AtomicBool,
}

impl InputOpener {
    pub(super) fn new(client: Arc<TaskClient>, settings: DownloadSettings, stop: CancellationToken) -> Self {
        let budget = Arc::new(DownloadBudget::new(&settings));
        Self { client, settings, budget, stop, told_other_server: AtomicBool::new(false) }
    }

    /// What can be known of a CID without asking the server.
    ///
    /// # Errors
    /// When it is none, or names another domain.
    pub(super) fn check(&self, cid: &str) -> Result<DataQuery, PortError> {
        let server = self.client.server();
        Ok(DataQuery::parse(cid, server.base_url(), server.domain_id()).map_err(DomainError::from)?)
    }

    /// Reserves a place among the open inputs.
    ///
    /// # Errors
    /// When none becomes free.
    pub(super) async fn slot(&self) -> Result<OwnedSemaphorePermit, PortError> {
        Ok(self.budget.open_input().await?)
    }

    /// Reserves a place that the runner will hardly miss.
    pub(super) fn spare_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.budget.spare_input()
    }

    /// Opens an input, and waits for its first part: one that does not exist fails here.
    ///
    /// # Errors
    /// When there is no such input, or it can't be fetched.
    pub(super) async fn open(
        &self,
        cid: &str,
        slot: OwnedSemaphorePermit,
    ) -> Result<DownloadStream, PortError> {
        let query = self.check(cid)?;
        self.tell_other_server(cid);
        // Not the CID as it was given: a URL may hold what is not meant for logs.
        let label = format!("input {}", one_line(query.to_query_string().unwrap_or_default(), 120));
        let (client, budget) = (Arc::clone(&self.client), Arc::clone(&self.budget));
        let (download, deliveries) =
            InputDownload::new(Arc::clone(&client), self.settings.clone(), budget, query);
        let reading = Arc::clone(download.reading());
        let download = AbortOnDropHandle::new(tokio::spawn(async move {
            download.run().await;
            // The place is free when all bytes have come, even if the handle is still there: some languages drop
            // handles late.
            drop(slot);
        }));
        let mut stream = DownloadStream::new(client, self.stop.clone(), deliveries, download, reading, label);
        let first = stream.next_part().await?;
        match first {
            Some(part) => Ok(stream.beginning_with(part)),
            None => Err(PortError::not_found("the input has no parts")),
        }
    }

    pub(super) fn unanswered(&self) -> Option<PortError> {
        self.client.unanswered()
    }

    /// The ids of the first of these CIDs, at most `most`, as far as each stands for one id, and for another one than those
    /// before it.
    pub(super) fn single_ids(&self, cids: &[String], most: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for cid in cids.iter().take(most) {
            match self.check(cid) {
                Ok(DataQuery { ids: one, name: None, data_type: None }) => match one.as_slice() {
                    [id] if !ids.contains(id) => {
                        ids.push(*id);
                        self.tell_other_server(cid);
                    }
                    _ => break,
                },
                _ => break,
            }
        }
        ids
    }

    /// Prepares a request for several inputs that have no more than `most_bytes`, and returns it with what it will bring.
    pub(super) fn batch(&self, ids: Vec<Uuid>, most_bytes: u64) -> (BatchDownload, Arc<BatchParts>) {
        BatchDownload::new(Arc::clone(&self.client), self.settings.clone(), ids, most_bytes)
    }

    /// Takes an input of a batch for the runner; none if the batch does not bring it.
    ///
    /// # Errors
    /// When the task is to stop.
    pub(super) async fn take(&self, parts: &BatchParts, id: Uuid) -> Result<Option<SmallInput>, PortError> {
        let part = until_stopped(&self.stop, async { Ok(parts.take(id).await) }).await?;
        Ok(part.map(|part| {
            let traffic = self.client.traffic();
            // Nobody sees the others'.
            let sha256 = traffic.lists_parts().then(|| part.sha256());
            log_part(&self.client, &part.info, sha256.as_deref());
            traffic.read(&part.info, sha256.unwrap_or_default());
            SmallInput::new(self.stop.clone(), part, self.client.span())
        }))
    }

    /// Says if a CID names another server, once for the task: its CIDs are likely all of one kind.
    fn tell_other_server(&self, cid: &str) {
        if self.told_other_server.load(Ordering::Relaxed) {
            return;
        }
        let Some(named) = other_server(cid, self.client.server().base_url()) else { return };
        if !self.told_other_server.swap(true, Ordering::Relaxed) {
            let (task_id, server) = (self.client.task_id(), self.client.server().origin());
            tracing::info!(
                %task_id, named, server, "a CID names another server; the request goes to the lease's domain server"
            );
        }
    }
}
