//! Capabilities that have gone, and of which the discovery service may still tell the job server.
//!
//! A runner whose breaker has opened claims nothing any more, but until DDS has heard of it the job server hands out its
//! tasks, and each would fail. So nothing is asked for until DDS has taken the new list, within reason.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is asked for when DDS does not take the new list: the other capabilities can't wait for ever.
const LONGEST: Duration = Duration::from_secs(30);

/// What was advertised, and since when some of it is not.
#[derive(Debug, Default)]
pub(super) struct Withdrawal {
    advertised: BTreeSet<String>,
    since: Option<Instant>,
}

impl Withdrawal {
    /// Looks at what is live now. Returns whether a capability has gone since the last look.
    pub(super) fn look(&mut self, live: &BTreeSet<String>) -> bool {
        let has_gone = !self.advertised.is_subset(live);
        if has_gone {
            self.since = Some(Instant::now());
        }
        self.advertised.clone_from(live);
        has_gone
    }

    /// Until when nothing should be asked for, given the list that DDS took last.
    pub(super) fn until(&self, taken: Option<&BTreeSet<String>>) -> Option<Instant> {
        let is_known = taken.is_none_or(|taken| taken.is_subset(&self.advertised));
        self.since.filter(|_| !is_known).map(|since| since + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_for_until_dds_has_taken_the_shorter_list_or_too_long() {
        let mut withdrawal = Withdrawal::default();
        let (both, one) = (set(&["a", "b"]), set(&["a"]));
        assert!(!withdrawal.look(&both), "what comes is no loss");
        assert_eq!(withdrawal.until(Some(&one)), None, "what DDS does not know yet brings no task");
        assert!(withdrawal.look(&one));
        assert!(!withdrawal.look(&one), "told once");
        assert_eq!(withdrawal.until(Some(&both)), Some(Instant::now() + LONGEST));
        assert_eq!(withdrawal.until(Some(&one)), None);
        assert_eq!(withdrawal.until(None), None, "nobody who is told of capabilities");
        withdrawal.look(&both);
        assert_eq!(withdrawal.until(Some(&both)), None, "it is there again");
    }
}
