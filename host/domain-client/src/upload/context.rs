//! What every upload of a task works with.

use std::sync::Arc;

use crate::api::info::InfoCache;
use crate::api::task_client::TaskClient;
use crate::upload::aborts::AbortTracker;
use crate::upload::budget::UploadBudget;
use crate::upload::index::ArtifactIndex;
use crate::upload::settings::UploadSettings;

/// The parts that the uploads of one task share. Each step takes out of it what it needs.
pub(crate) struct UploadContext {
    pub(crate) client: Arc<TaskClient>,
    /// The node's, since servers answer all tasks alike.
    pub(crate) info: Arc<InfoCache>,
    pub(crate) settings: UploadSettings,
    pub(crate) budget: Arc<UploadBudget>,
    pub(crate) index: ArtifactIndex,
    pub(crate) aborts: AbortTracker,
}
