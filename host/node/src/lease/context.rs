//! What every lease of a node works with.

use std::sync::Arc;

use posemesh_runner_api::runner::Runners;

use crate::dms::JobServer;
use crate::journal::LeaseJournal;
use crate::lease::ports::OpenPorts;
use crate::lease::release::ReleaseOrder;
use crate::lease::settings::LeaseSettings;
use crate::workdir::TaskDirs;

/// What every lease of a node works with. Cloning shares.
#[derive(Clone)]
pub(crate) struct LeaseContext {
    pub(crate) server: Arc<dyn JobServer>,
    pub(crate) runners: Arc<dyn Runners>,
    pub(crate) ports: Arc<dyn OpenPorts>,
    pub(crate) work_dirs: Arc<dyn TaskDirs>,
    /// Remembers the leases beyond the life of the process.
    pub(crate) journal: Arc<dyn LeaseJournal>,
    pub(crate) settings: LeaseSettings,
    /// Given when a node that stops gives its leases back.
    pub(crate) release: ReleaseOrder,
}
