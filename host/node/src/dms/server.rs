//! The job server as the rest of the node sees it.

use async_trait::async_trait;
use posemesh_runner_api::json_text::JsonText;
use uuid::Uuid;

use crate::dms::error::JobServerError;
use crate::dms::final_report::FinalReport;
use crate::dms::lease::{HeartbeatAnswer, LeaseAnswer};

/// What leases need of the job server. Each request ends by itself within the request timeout, and a new
/// machine token was already tried when the first was refused (protocol 3.1). Nothing else is repeated:
/// only the caller knows how long its lease lives.
#[async_trait]
pub(crate) trait JobServer: Send + Sync {
    /// Asks for a task (protocol 3.2). A caller that drops this may leave a lease behind at the server
    /// that nobody works on.
    ///
    /// # Errors
    /// When the server can't be asked or answers with an error; 409 is not one ([`LeaseAnswer::Busy`]).
    async fn request_lease(&self) -> Result<LeaseAnswer, JobServerError>;

    /// Reports progress and events, and extends the lease (protocol 3.4).
    ///
    /// # Errors
    /// When the lease was not extended as far as is known.
    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &JsonText,
        events: &[JsonText],
    ) -> Result<HeartbeatAnswer, JobServerError>;

    /// Ends a lease by `complete` or `fail` (protocol 3.5, 3.6).
    ///
    /// # Errors
    /// When the server has not accepted the report as far as is known.
    async fn finish(&self, task_id: Uuid, report: &FinalReport) -> Result<(), JobServerError>;
}
