//! Who is told what happens in the registry of runners.

use posemesh_plugin_host::registry::{RegistryEvent, RegistryObserver};

use crate::archive::Archive;
use crate::audit::AuditLog;

/// The audit log and the history.
pub(super) struct Observers {
    pub(super) audit: AuditLog,
    pub(super) archive: Archive,
}

impl RegistryObserver for Observers {
    fn observe(&self, event: &RegistryEvent<'_>) {
        self.audit.observe(event);
        self.archive.observe(event);
    }
}
