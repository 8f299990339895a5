//! When the network of a node was not well.

use std::time::Duration;

/// The times in which something went wrong for a node that may excuse a late heartbeat.
#[derive(Default)]
pub(super) struct Troubles {
    times: Vec<(Duration, Duration)>,
    /// Since when the node may be without a machine token.
    token_since: Option<Duration>,
}

impl Troubles {
    /// A call goes wrong from then to then.
    pub(super) fn add(&mut self, from: Duration, to: Duration) {
        self.times.push((from, to));
    }

    /// The machine token is refused, or no new one can be had, until a login succeeds.
    pub(super) fn token_lost(&mut self, now: Duration) {
        self.token_since.get_or_insert(now);
    }

    /// A login has succeeded.
    pub(super) fn token_found(&mut self, now: Duration) {
        if let Some(since) = self.token_since.take() {
            self.times.push((since, now));
        }
    }

    /// Whether nothing went wrong from then to then.
    pub(super) fn is_calm(&self, from: Duration, to: Duration) -> bool {
        self.token_since.is_none_or(|since| since > to)
            && !self.times.iter().any(|(began, ended)| *began <= to && *ended >= from)
    }
}
