//! The input port of a task: CIDs of the lease's domain (protocol 6.2 and 6.4).

mod ahead;
mod batches;
mod opener;
mod small;
mod stream;

use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::ports::{InputPort, PartStream, PortError};
use tokio_util::sync::CancellationToken;

use crate::api::task_client::TaskClient;
use crate::download::settings::DownloadSettings;
use crate::inputs::ahead::OpenAhead;
use crate::inputs::opener::InputOpener;

/// Opens CIDs of the lease's domain.
pub(crate) struct DomainInputs {
    opener: Arc<InputOpener>,
    ahead: OpenAhead,
}

impl DomainInputs {
    /// `cids` are the task's inputs, in their order.
    pub(crate) fn new(
        client: Arc<TaskClient>,
        settings: DownloadSettings,
        cids: Vec<String>,
        stop: CancellationToken,
    ) -> Self {
        let opener = Arc::new(InputOpener::new(client, settings, stop));
        Self { ahead: OpenAhead::new(opener.clone(), cids), opener }
    }
}

#[async_trait]
impl InputPort for DomainInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        // First, so that a CID that is refused takes no place from others.
        self.opener.check(cid)?;
        self.ahead.open(cid).await
    }

    fn within(&self, inputs: u64, bytes: u64) {
        self.ahead.within(inputs, bytes);
    }

    fn unanswered(&self) -> Option<PortError> {
        self.opener.unanswered()
    }
}
