//! The parts of the node that the status server reads and commands.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::about::About;
use super::folders::WatchedFolders;
use super::identity::NodeIdentity;
use super::readiness::Readiness;
use super::streams::Streams;
use crate::admission::LiveBudget;
use crate::archive::Archive;
use crate::audit::AuditLog;
use crate::records::TaskRecords;
use crate::shutdown::Shutdown;
use posemesh_net::secret::Secret;
use posemesh_plugin_host::registry::Registry;
use tokio_util::sync::CancellationToken;

/// The parts of the node that the status server reads and commands.
#[derive(Clone)]
pub(crate) struct StatusSources {
    /// Which node this is.
    pub(crate) identity: NodeIdentity,
    /// What it was started with.
    pub(crate) about: Arc<About>,
    /// The runners.
    pub(crate) registry: Arc<Registry>,
    /// The tasks.
    pub(crate) records: TaskRecords,
    /// The folders whose free space is told.
    pub(crate) folders: WatchedFolders,
    /// Memory for all tasks together.
    pub(crate) memory_budget: LiveBudget,
    /// Bytes of it that are promised.
    pub(crate) memory_promised: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Reads the settings again: what that changed, or what is wrong with them.
    pub(crate) reload: Arc<dyn Fn() -> BoxFuture<'static, Result<Value, String>> + Send + Sync>,
    /// Notes that the node is paused, or no longer, for the next process; whether that was possible.
    pub(crate) remember_pause: Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
    /// The settings that it runs with and that differ from the default: name, value, source. Secrets are masked.
    pub(crate) settings: Arc<dyn Fn() -> Vec<[String; 3]> + Send + Sync>,
    /// The rest that readiness needs.
    pub(crate) readiness: Readiness,
    /// Drained by an admin call.
    pub(crate) shutdown: Shutdown,
    /// The bearer of admin calls; without one they are refused.
    pub(crate) admin_token: Option<Secret>,
    /// The bearer of calls from other machines that read.
    pub(crate) status_token: Option<Secret>,
    /// Where they are recorded.
    pub(crate) audit: AuditLog,
    /// What is kept beyond the process.
    pub(crate) archive: Archive,
    /// Who follows it.
    pub(crate) streams: Streams,
    /// Fires when the server is to end; streams end with it.
    pub(crate) stop: CancellationToken,
}
