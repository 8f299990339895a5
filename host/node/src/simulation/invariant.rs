//! What must hold in every run.

use std::fmt;
use std::time::Duration;

/// What must hold in every run, whatever goes wrong in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// How the node says that a lease ended is how the server saw it.
    EndedAsSeen,
    /// No lease is both completed and failed, and no lease gets the final report of another one.
    OneEnd,
    /// Nothing is said about a lease after its end, as far as the node can know of it.
    SilentAfterEnd,
    /// No lease of a living node expires while the network is well.
    HeartbeatInTime,
    /// No lease is asked for once the node drains or stops.
    NoLeaseWhileDraining,
    /// No lease is asked for beyond `MAX_CONCURRENCY`.
    NoLeaseBeyondConcurrency,
    /// A stop ends within its grace time, a second signal at once, and a drain when its tasks have ended.
    StopInTime,
    /// No task of the runtime is left when a node has returned.
    NoTaskLeft,
    /// Events that wait, and records, stay within their bounds.
    QueuesBounded,
    /// What a process that dies works on is in its journal, and nothing that it knew to be over.
    JournalIsRight,
    /// In a network that is well, all events arrive before a lease is completed.
    ReportsArrive,
    /// The calls of a node in ten seconds are bounded.
    NoFlood,
    /// The same seed does the same.
    SameAgain,
    /// In a network that is well again every task ends.
    EveryTaskEnds,
    /// Nothing panics.
    NoPanic,
}

impl Invariant {
    /// Every invariant.
    pub const ALL: [Self; 15] = [
        Self::EndedAsSeen,
        Self::OneEnd,
        Self::SilentAfterEnd,
        Self::HeartbeatInTime,
        Self::NoLeaseWhileDraining,
        Self::NoLeaseBeyondConcurrency,
        Self::StopInTime,
        Self::NoTaskLeft,
        Self::QueuesBounded,
        Self::JournalIsRight,
        Self::ReportsArrive,
        Self::NoFlood,
        Self::SameAgain,
        Self::EveryTaskEnds,
        Self::NoPanic,
    ];
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When, since the start of the run.
    pub at: Duration,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.3} s: {}", self.invariant, self.at.as_secs_f64(), self.what)
    }
}
