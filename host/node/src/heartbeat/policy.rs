//! When heartbeats are due: what the operator sets, its defaults, and the bounds that always hold
//! (protocol 4.2, 4.3).

use std::time::Duration;

use posemesh_net::retry::uniform;

/// The shortest time between the starts of two heartbeats, whatever asks for them.
pub(crate) const MIN_SPACING: Duration = Duration::from_millis(250);

/// The longest time from one heartbeat to the next, whatever the TTL: a cancellation is in the answer to a heartbeat, and
/// nobody waits a quarter of an hour to be heard.
pub(crate) const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// A renewal later than this part of the TTL would leave no time for a second attempt.
const MAX_RATIO: f64 = 0.8;

/// When heartbeats are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HeartbeatPolicy {
    /// The smallest part of the TTL after which a lease is renewed, 0 to 1 (`HEARTBEAT_MIN_RATIO`).
    pub(crate) min_ratio: f64,
    /// The largest part of the TTL after which a lease is renewed, 0 to 1 (`HEARTBEAT_MAX_RATIO`).
    pub(crate) max_ratio: f64,
    /// Reports are gathered for half to the whole of this before they are sent (`HEARTBEAT_JITTER_MS`).
    pub(crate) jitter: Duration,
}

impl Default for HeartbeatPolicy {
    fn default() -> Self {
        Self { min_ratio: 0.25, max_ratio: 0.35, jitter: Duration::from_millis(250) }
    }
}

impl HeartbeatPolicy {
    /// How long after a renewal the next one is due: a random part of the TTL between the ratios.
    pub(crate) fn renewal(&self, ttl: Duration) -> Duration {
        let [one, other] = [self.min_ratio, self.max_ratio].map(|ratio| {
            // Whatever was configured, a lease is renewed in time.
            // `clamp` lets NaN through, and `mul_f64` panics on it.
            if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, MAX_RATIO) }
        });
        let (low, high) = (one.min(other), one.max(other));
        // As if the TTL were one whose latest renewal is the longest interval: so the moment stays spread.
        let ttl = if ttl.mul_f64(high) > MAX_INTERVAL { MAX_INTERVAL.div_f64(high) } else { ttl };
        // A ratio of 0 would be a flood, hence the floor; one above the TTL would come after the lease's end.
        ttl.mul_f64((low + fastrand::f64() * (high - low)).clamp(0.0, MAX_RATIO))
            .min(MAX_INTERVAL)
            .max(MIN_SPACING.min(ttl))
    }

    /// How long reports are gathered before they go out together.
    pub(crate) fn debounce(&self) -> Duration {
        uniform(self.jitter / 2, self.jitter)
    }

    /// The shortest time between the starts of two heartbeats of which the second carries reports; a runner that goes
    /// on reporting gets longer ones.
    pub(crate) fn spacing(&self) -> Duration {
        // A long jitter widens the spacing, but a jitter of 0 does not lift the floor.
        self.jitter.max(MIN_SPACING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_sixty_second_lease_is_renewed_every_15_to_21_seconds() {
        for _ in 0..100 {
            let delay = HeartbeatPolicy::default().renewal(MINUTE);
            assert!(delay >= Duration::from_secs(15) && delay <= Duration::from_secs(21), "{delay:?}");
        }
    }

    #[test]
    fn a_long_lease_has_a_heartbeat_every_30_seconds_at_least() {
        for ttl in [2 * MINUTE, 10 * MINUTE, 60 * MINUTE] {
            let delays: Vec<_> = (0..200).map(|_| HeartbeatPolicy::default().renewal(ttl)).collect();
            assert!(delays.iter().all(|delay| *delay <= MAX_INTERVAL), "{ttl:?}: {delays:?}");
            assert!(
                delays.iter().all(|delay| *delay >= Duration::from_secs(21)),
                "no flood: {ttl:?}: {delays:?}"
            );
            assert!(delays.iter().any(|delay| *delay != MAX_INTERVAL), "nodes don't come in step");
        }
        let tiny = HeartbeatPolicy { min_ratio: 1e-300, max_ratio: 1e-300, ..HeartbeatPolicy::default() };
        assert_eq!(tiny.renewal(MINUTE), MIN_SPACING);
    }

    #[test]
    fn odd_ratios_never_panic_never_flood_and_never_come_too_late() {
        for (min_ratio, max_ratio) in
            [(f64::NAN, f64::INFINITY), (0.0, 0.0), (9.0, -9.0), (0.9, 0.1), (f64::NEG_INFINITY, f64::NAN)]
        {
            let policy = HeartbeatPolicy { min_ratio, max_ratio, ..HeartbeatPolicy::default() };
            let delay = policy.renewal(MINUTE);
            assert!(
                delay >= MIN_SPACING && delay <= MINUTE * 4 / 5,
                "{min_ratio} and {max_ratio} gave {delay:?}"
            );
        }
    }

    #[test]
    fn reports_wait_half_to_the_whole_jitter() {
        let policy = HeartbeatPolicy { jitter: Duration::from_millis(800), ..HeartbeatPolicy::default() };
        for _ in 0..100 {
            let wait = policy.debounce();
            assert!(wait >= policy.jitter / 2 && wait <= policy.jitter, "{wait:?}");
        }
        assert_eq!(policy.spacing(), policy.jitter, "a long jitter is the spacing as well");
        assert_eq!(HeartbeatPolicy::default().spacing(), MIN_SPACING);
    }
}
