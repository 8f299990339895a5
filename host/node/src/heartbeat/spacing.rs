//! How far apart heartbeats are that carry nothing but reports (protocol 4.3).
//!
//! The first few come at once, so that a person who looks sees a task start. A runner that goes on reporting then gets
//! one heartbeat every few seconds: of many thousand tasks, each heartbeat is a write at the server, and its renewals
//! keep the lease anyway.

use std::time::Duration;

use tokio::time::Instant;

/// How many come without a wait; as many again after a pause.
const BURST: u32 = 4;
/// The first longer distance; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest distance.
const LONGEST: Duration = Duration::from_secs(10);
/// How long nothing may have been reported for the burst to be there again.
const PAUSE: Duration = Duration::from_secs(30);

/// Counts heartbeats that were sent for reports alone.
#[derive(Debug, Default)]
pub(super) struct ReportSpacing {
    /// How many there were since the last pause.
    sent: u32,
    /// When the last one started.
    last: Option<Instant>,
}

impl ReportSpacing {
    /// A heartbeat starts because of reports.
    pub(super) fn sent(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) >= PAUSE) {
            self.sent = 0;
        }
        self.sent = self.sent.saturating_add(1);
        self.last = Some(now);
    }

    /// How long after the last heartbeat the next one may come for reports; `shortest` holds in any case.
    pub(super) fn distance(&self, now: Instant, shortest: Duration) -> Duration {
        let paused = self.last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        let over = self.sent.saturating_sub(BURST);
        // The burst is counted by heartbeats that were sent: the one that is asked for now would be one more.
        if paused || self.sent < BURST {
            return shortest;
        }
        // Bounded, since a shift by the full width would overflow.
        FIRST.saturating_mul(1 << over.min(8)).min(LONGEST).max(shortest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_few_come_at_once_then_ever_more_rarely_and_a_pause_forgives() {
        let shortest = Duration::from_millis(250);
        let mut spacing = ReportSpacing::default();
        let mut now = Instant::now();
        let mut distances = Vec::new();
        for _ in 0..10 {
            let distance = spacing.distance(now, shortest);
            now += distance;
            spacing.sent(now);
            distances.push(distance.as_millis());
        }
        assert_eq!(distances, [250, 250, 250, 250, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        now += PAUSE;
        assert_eq!(spacing.distance(now, shortest), shortest);
        spacing.sent(now);
        assert_eq!(spacing.distance(now + SECOND, shortest), shortest, "the burst is there again");
        assert_eq!(
            spacing.distance(now, 20 * SECOND),
            20 * SECOND,
            "a longer jitter is the distance as well"
        );
    }
}
