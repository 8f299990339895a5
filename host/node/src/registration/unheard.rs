//! Registrations that stayed without an answer. One may still be under way, arrive after a later one, and leave DDS with
//! capabilities that the node no longer has.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::auth::dds::DdsError;

/// A request whose sender has given up arrives within this time, or never.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// The registrations of the last minute that stayed without an answer.
#[derive(Debug, Default)]
pub(super) struct UnheardRegistrations {
    /// Their capabilities, and when they were given up.
    given_up: Vec<(BTreeSet<String>, Instant)>,
}

impl UnheardRegistrations {
    /// A registration with these capabilities failed: whether DDS, or something before it, holds it still is not known
    /// unless DDS has refused it.
    pub(super) fn failed(&mut self, capabilities: BTreeSet<String>, error: &DdsError) {
        self.forget_old();
        if error.is_transient() {
            self.given_up.push((capabilities, Instant::now()));
        }
    }

    /// When the capabilities that DDS has just taken have to be told once more, since earlier ones may have arrived after
    /// them; none if that can't be.
    pub(super) fn overtaking(&mut self, taken: &BTreeSet<String>) -> Option<Instant> {
        self.forget_old();
        let others = self.given_up.iter().filter(|(capabilities, _)| capabilities != taken);
        others.map(|(_, at)| *at + UNDER_WAY).max()
    }

    /// As if a minute had passed.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.given_up.clear();
    }

    fn forget_old(&mut self) {
        self.given_up.retain(|(_, at)| at.elapsed() < UNDER_WAY);
    }
}

/// Waits until then, or for ever.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
