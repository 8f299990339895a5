//! What all downloads of a task share: connections, and memory for what the runner has not read yet.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::api::error::DomainError;
use crate::download::settings::DownloadSettings;

/// Time for an input that was just closed, or has just come to its end, to make room for another.
const SLOT_TIMEOUT: Duration = Duration::from_secs(1);

/// The download budget of one task.
#[derive(Debug)]
pub(crate) struct DownloadBudget {
    max_open_inputs: usize,
    open_inputs: Arc<Semaphore>,
    read_ahead: Arc<Semaphore>,
}

impl DownloadBudget {
    pub(crate) fn new(settings: &DownloadSettings) -> Self {
        Self {
            max_open_inputs: settings.max_open_inputs,
            open_inputs: Arc::new(Semaphore::new(settings.max_open_inputs)),
            read_ahead: Arc::new(Semaphore::new(settings.read_ahead)),
        }
    }

    /// Reserves a place among the open inputs.
    ///
    /// # Errors
    /// [`DomainError::Limit`] when none becomes free.
    pub(crate) async fn open_input(&self) -> Result<OwnedSemaphorePermit, DomainError> {
        // Not without a limit: a runner that opens inputs and closes none would wait for itself for ever.
        match timeout(SLOT_TIMEOUT, Arc::clone(&self.open_inputs).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(DomainError::Limit(format!(
                "a task may have {} inputs open; read one to its end or close it before the next",
                self.max_open_inputs
            ))),
        }
    }

    /// Reserves a place among the open inputs for one that the runner has not asked for, if most are free.
    pub(crate) fn spare_input(&self) -> Option<OwnedSemaphorePermit> {
        let most = self.open_inputs.available_permits() > self.max_open_inputs / 2;
        most.then(|| Arc::clone(&self.open_inputs).try_acquire_owned().ok()).flatten()
    }

    /// Reserves room for a chunk that waits for the runner, if there is some.
    pub(super) fn read_ahead(&self) -> Option<OwnedSemaphorePermit> {
        // Does not wait: the inputs that hold the room may be ones that the runner does not read at present.
        Arc::clone(&self.read_ahead).try_acquire_owned().ok()
    }
}
