//! What the scans remember of each name: which files were loaded, which wait, and which loads go on.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::registry::fingerprint::{Contents, FileFingerprint};

/// Wait before a runner is loaded again that this machine could not load; each time twice as long.
const RETRY_DELAY: Duration = Duration::from_secs(30);
/// The longest of these waits.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(3600);

/// What is remembered, by name.
#[derive(Debug, Default)]
pub(crate) struct SeenFiles {
    /// The fingerprint with which it was last taken through the stages.
    pub(crate) loaded: BTreeMap<String, FileFingerprint>,
    /// The fingerprint of a changed one at the last scan.
    pub(crate) pending: BTreeMap<String, FileFingerprint>,
    /// What was in the files of each when they were last taken through the stages.
    pub(crate) contents: BTreeMap<String, Contents>,
    /// How often in a row this machine could not load it.
    troubles: BTreeMap<String, u32>,
    /// The loads that go on.
    pub(crate) in_flight: BTreeMap<String, InFlight>,
    loads: u64,
}

/// A load that goes on.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) number: u64,
    /// Which candidates were found together.
    pub(crate) batch: u64,
    /// Nothing of it is live.
    pub(crate) is_newcomer: bool,
    /// It served something before.
    pub(crate) is_incumbent: bool,
    pub(crate) abort: AbortHandle,
}

impl SeenFiles {
    /// The number of the next load.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.loads += 1;
        self.loads
    }

    /// Whether this load is still the newest of its name.
    pub(crate) fn is_current(&self, name: &str, number: u64) -> bool {
        self.in_flight.get(name).is_some_and(|load| load.number == number)
    }

    /// Ends a load, if one goes on: its file is not there any more as it was.
    pub(crate) fn abort(&mut self, name: &str) {
        if let Some(load) = self.in_flight.remove(name) {
            load.abort.abort();
        }
    }

    /// Whether others that were found together with a newcomer go before it: those that served something before, and those
    /// whose names come first.
    pub(crate) fn is_preceded(&self, name: &str, batch: u64) -> bool {
        self.in_flight.iter().any(|(other, load)| {
            let is_earlier = load.is_newcomer && other.as_str() < name;
            load.batch == batch && other != name && (is_earlier || load.is_incumbent)
        })
    }

    /// How long to wait after one more load that this machine could not do.
    pub(crate) fn trouble(&mut self, name: &str) -> Duration {
        let times = self.troubles.entry(name.to_owned()).or_default();
        let delay = RETRY_DELAY.saturating_mul(1 << (*times).min(16)).min(MAX_RETRY_DELAY);
        *times = times.saturating_add(1);
        delay
    }

    /// A load was not in trouble, or another file lies there.
    pub(crate) fn no_trouble(&mut self, name: &str) {
        self.troubles.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_can_not_load_is_tried_again_after_growing_waits() {
        let mut seen = SeenFiles::default();
        let waits: Vec<u64> = (0..9).map(|_| seen.trouble("a").as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(seen.trouble("b").as_secs(), 30, "each for itself");
        seen.no_trouble("a");
        assert_eq!(seen.trouble("a").as_secs(), 30);
    }
}
