//! Downloads an input in the background, a few chunks ahead of the runner, and resumes a download that is cut.

mod answer;
pub(crate) mod batch;
pub(crate) mod budget;
mod checks;
mod cuts;
pub(crate) mod delivery;
mod pass_error;
mod progress;
pub(crate) mod settings;

use std::sync::Arc;

use posemesh_domain_data::cid::DataQuery;
use posemesh_domain_data::multipart::MultipartEvent;
use posemesh_runner_api::ports::PartInfo;
use tokio::time::sleep;

use crate::api::task_client::TaskClient;
use crate::download::answer::{Answer, WHAT};
use crate::download::budget::DownloadBudget;
use crate::download::cuts::CutCounter;
use crate::download::delivery::{Deliverer, Deliveries, PartDelivery};
use crate::download::pass_error::PassError;
use crate::download::progress::DownloadProgress;
use crate::download::settings::DownloadSettings;
use crate::servers::ServerWait;
use crate::traffic::InputReading;

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
        let response = self.client.open(&answer::call(&self.client, &query)).await?;
        let idle_timeout = self.client.settings().idle_timeout;
        let mut answer = Answer::new(Arc::clone(&self.client), &self.settings, idle_timeout, response)?;
        while let Some(event) = answer.next().await? {
            self.process(event).await?;
        }
        answer.end(|end| self.progress.end_pass(end)).await
    }

    async fn process(&mut self, event: MultipartEvent) -> Result<(), PassError> {
        match event {
            MultipartEvent::Part(head) => match self.progress.begin_part(head)? {
                Some(part) => self.out.send(PartDelivery::Part(part)).await,
                None => Ok(()),
            },
            MultipartEvent::Data(bytes) => self.out.data(self.progress.data(bytes).await?).await,
            MultipartEvent::PartEnd => match self.progress.end_part().await? {
                Some((part, sha256)) => {
                    self.client.at_server().worked(WHAT);
                    log_part(&self.client, &part, Some(&sha256));
                    self.reading.part_ended(self.client.traffic(), part, sha256);
                    self.out.send(PartDelivery::PartEnd).await
                }
                None => Ok(()),
            },
        }
    }
}

/// Logs a part that has come whole. Those that the task's record does not list are for people who look for trouble: a task may
/// have thousands.
pub(crate) fn log_part(client: &TaskClient, part: &PartInfo, sha256: Option<&str>) {
    let (task_id, id, size) = (client.task_id(), &part.data_id, part.size);
    match client.traffic().lists_parts() {
        true => tracing::info!(%task_id, id, size, sha256, "downloaded a part"),
        false => tracing::debug!(%task_id, id, size, sha256, "downloaded a part"),
    }
}
