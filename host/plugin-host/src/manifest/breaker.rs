//! When a runner that fails again and again is left out for a while. `registry::breaker` does it.

use std::time::Duration;

use serde::Deserialize;

use crate::manifest::amount::seconds;

/// The most runs that are remembered.
const MAX_WINDOW: usize = 1000;
/// The longest time that can be set, in seconds: a week.
const MAX_SECONDS: u64 = 7 * 24 * 60 * 60;

/// `[breaker]` in `NAME.toml`: the circuit breaker of one runner.
///
/// Only runs that say something about the runner are counted: those that completed, and those that failed by the
/// runner's own fault ([`Blame::Runner`](posemesh_runner_api::failure::Blame::Runner)).
///
/// ```
/// use posemesh_plugin_host::manifest::BreakerPolicy;
///
/// let policy = BreakerPolicy::default();
/// assert!(policy.enabled && policy.failures == 5);
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// Whether there is a breaker at all.
    pub enabled: bool,
    /// Failures in a row that open it. A task has three attempts unless its job says otherwise, so that with five
    /// no single task can open it.
    pub failures: usize,
    /// The number of latest runs over which the share of failures is taken.
    pub window: usize,
    /// The share of failures among these above which it opens, once there are so many.
    pub max_failure_share: f64,
    /// How long it is open the first time, in seconds; each further time twice as long.
    #[serde(deserialize_with = "seconds")]
    pub open_secs: u64,
    /// How long it is open at most, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub max_open_secs: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            failures: 5,
            window: 20,
            max_failure_share: 0.3,
            open_secs: 30,
            max_open_secs: 60 * 60,
        }
    }
}

impl BreakerPolicy {
    /// Checks what was set.
    ///
    /// # Errors
    /// The field, its value and what is allowed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { failures, window, max_failure_share: share, open_secs, max_open_secs, .. } = self;
        let wrong = |field: &str, value: String, allowed: String| {
            Err(format!("[breaker] {field} = {value}: it must be {allowed}"))
        };
        if !(1..=MAX_WINDOW).contains(failures) {
            return wrong("failures", failures.to_string(), format!("from 1 to {MAX_WINDOW}"));
        }
        if !(1..=MAX_WINDOW).contains(window) {
            return wrong("window", window.to_string(), format!("from 1 to {MAX_WINDOW}"));
        }
        // A range rather than two comparisons: NaN lies in no range.
        if !(0.0..=1.0).contains(share) {
            return wrong("max_failure_share", share.to_string(), "from 0 to 1".to_owned());
        }
        if !(1..=MAX_SECONDS).contains(open_secs) {
            return wrong("open_secs", open_secs.to_string(), format!("from 1 to {MAX_SECONDS}"));
        }
        if !(*open_secs..=MAX_SECONDS).contains(max_open_secs) {
            let allowed = format!("from {open_secs} (open_secs) to {MAX_SECONDS}");
            return wrong("max_open_secs", max_open_secs.to_string(), allowed);
        }
        Ok(())
    }

    /// How long it is open the first time.
    pub(crate) const fn first_open(&self) -> Duration {
        Duration::from_secs(self.open_secs)
    }

    /// How long it is open at most.
    pub(crate) const fn longest_open(&self) -> Duration {
        Duration::from_secs(self.max_open_secs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused_with_what_is_allowed() {
        for (text, field) in [
            ("failures = 0", "failures = 0"),
            ("window = 1001", "window = 1001"),
            ("max_failure_share = nan", "max_failure_share"),
            ("max_failure_share = 1.5", "max_failure_share = 1.5"),
            ("open_secs = 0", "open_secs = 0"),
            ("open_secs = 60\nmax_open_secs = 30", "max_open_secs = 30: it must be from 60"),
        ] {
            let policy: BreakerPolicy = toml::from_str(text).unwrap();
            let error = policy.check().unwrap_err();
            assert!(error.contains(field) && error.contains("it must be from"), "{text}: {error}");
        }
        toml::from_str::<BreakerPolicy>("failurs = 3").unwrap_err();
        let policy: BreakerPolicy = toml::from_str("enabled = false").unwrap();
        assert_eq!(policy.check(), Ok(()));
        assert_eq!(policy, BreakerPolicy { enabled: false, ..BreakerPolicy::default() });
    }
}
