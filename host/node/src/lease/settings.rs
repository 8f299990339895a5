//! How leases are worked on.

use std::time::Duration;

use posemesh_runner_api::reports::ReportLimits;

use crate::heartbeat::HeartbeatPolicy;

/// How leases are worked on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LeaseSettings {
    /// When heartbeats are sent.
    pub(crate) heartbeat: HeartbeatPolicy,
    /// How many events may wait for a heartbeat.
    pub(crate) report_limits: ReportLimits,
    /// Grace for a runner that was asked to stop; after it the run is aborted. Longer than a runner's host
    /// needs to end the runner by its own means, or to say that it can't be ended.
    pub(crate) stop_grace: Duration,
    /// How long the delivery of a final report is tried while heartbeats do get through. A server that
    /// accepts heartbeats but never the report occupies a slot no longer than that.
    pub(crate) delivery_timeout: Duration,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            heartbeat: HeartbeatPolicy::default(),
            report_limits: ReportLimits::default(),
            // Must not run out before the plugin host has ended the runner, or has reported that it can't.
            stop_grace: Duration::from_secs(20),
            delivery_timeout: Duration::from_secs(15 * 60),
        }
    }
}
