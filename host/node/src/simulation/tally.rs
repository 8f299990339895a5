//! Calls by the second, as the servers of a fleet see them.

use std::time::Duration;

use serde::Serialize;

use crate::simulation::call_kind::CallKind;

/// The calls of all nodes that were made in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CallsOfSecond {
    /// Requests for work.
    pub leases: u32,
    /// Heartbeats.
    pub heartbeats: u32,
    /// `complete` and `fail`.
    pub reports: u32,
    /// Logins at DDS.
    pub logins: u32,
    /// Registrations with DDS.
    pub registrations: u32,
}

/// The calls of each second since the start of a run.
pub(super) struct Tally {
    counts: bool,
    seconds: Vec<CallsOfSecond>,
}

impl Tally {
    /// Nothing yet; whether it counts at all.
    pub(super) fn new(counts: bool) -> Self {
        Self { counts, seconds: Vec::new() }
    }

    /// A call is made.
    pub(super) fn add(&mut self, now: Duration, kind: CallKind) {
        if !self.counts {
            return;
        }
        let second = now.as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, CallsOfSecond::default());
        }
        let calls = &mut self.seconds[second];
        *match kind {
            CallKind::Lease => &mut calls.leases,
            CallKind::Heartbeat => &mut calls.heartbeats,
            CallKind::Finish => &mut calls.reports,
            CallKind::Login => &mut calls.logins,
            CallKind::Register => &mut calls.registrations,
        } += 1;
    }

    /// The calls of these seconds.
    pub(super) fn between(&self, from: Duration, to: Duration) -> Vec<CallsOfSecond> {
        let of = |second| self.seconds.get(second as usize).copied().unwrap_or_default();
        (from.as_secs()..to.as_secs()).map(of).collect()
    }
}
