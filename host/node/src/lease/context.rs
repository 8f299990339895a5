//! What every lease of a node works with.

use std::sync::Arc;

use posemesh_runner_api::runner::Runners;
use tokio_util::sync::CancellationToken;

use crate::dms::JobServer;
use crate::lease::ports::OpenPorts;
use crate::lease::settings::LeaseSettings;
use crate::workdir::WorkDirs;

/// What every lease of a node works with. Cloning shares.
#[derive(Clone)]
pub(crate) struct LeaseContext {
    pub(crate) server: Arc<dyn JobServer>,
    pub(crate) runners: Arc<dyn Runners>,
    pub(crate) ports: Arc<dyn OpenPorts>,
    pub(crate) work_dirs: Arc<WorkDirs>,
    pub(crate) settings: LeaseSettings,
    /// Fires when the grace time of a shutdown is over: runners are stopped, and what is not finished is
    /// released, that is, failed with `node_shutdown` (protocol 5.3).
    pub(crate) release: CancellationToken,
}
