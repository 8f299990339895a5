//! How long a lease lasts, on a clock that cannot be set: the monotonic one (protocol 4.2).
//!
//! The server names the end of a lease by *its* clock. Comparing that with the node's wall clock is wrong
//! whenever the two differ, so the server's own `Date` is used where there is one.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::wall_clock;

/// The assumed length of a lease for which no believable expiry is known.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(60);

/// The longest TTL that is believed by the wall clock alone; a longer one is more likely a wrong clock.
/// Longer ones that the server's clock confirms are treated as this long, which only means more heartbeats.
const MAX_TTL: Duration = Duration::from_secs(3600);

/// How long heartbeats may keep failing when the end of the lease is only assumed. Generous: ending the
/// lease too early loses finished work, ending it too late at worst wastes a runner's time.
const UNKNOWN_EXPIRY_TIMEOUT: Duration = Duration::from_secs(300);

/// The remaining life of one lease.
#[derive(Debug, Clone)]
pub(crate) struct LeaseClock {
    /// How long the lease lasts from `granted` on; heartbeats are timed by it.
    ttl: Duration,
    /// When the request was sent that granted or last extended the lease.
    granted: Instant,
    /// When the lease is over unless it is extended.
    deadline: Instant,
    /// The longest believable TTL that was seen: the fallback. The longest, because a server that
    /// does not move the expiry names shorter and shorter ones.
    believed: Option<Duration>,
}

impl LeaseClock {
    /// A lease whose request was sent at `sent`. Counting from then ends it too early by the duration of the
    /// request, or too late by the fraction of a second that `Date` omits; in the second case the server
    /// says that the lease is lost.
    pub(crate) fn start(
        sent: Instant,
        expires_at: Option<OffsetDateTime>,
        date: Option<OffsetDateTime>,
    ) -> Self {
        // Placeholders: `extend` applies the same rules to the grant as to every later extension.
        let mut clock = Self { ttl: DEFAULT_TTL, granted: sent, deadline: sent, believed: None };
        clock.extend(sent, expires_at, date);
        clock
    }

    /// A heartbeat that was sent at `sent` was accepted.
    pub(crate) fn extend(
        &mut self,
        sent: Instant,
        expires_at: Option<OffsetDateTime>,
        date: Option<OffsetDateTime>,
    ) {
        let ttl = expires_at.and_then(|expires_at| believable_ttl(expires_at, date, wall_clock::now()));
        // From the sending and not from the answer: a slow answer must not make the lease look longer than it is.
        self.granted = sent;
        match ttl {
            Some(ttl) => {
                self.ttl = ttl;
                self.believed = Some(self.believed.map_or(ttl, |longest| longest.max(ttl)));
                self.deadline = sent + ttl;
            }
            None => {
                // Heartbeats go on at the pace of the likely TTL; only giving up waits for the generous deadline.
                self.ttl = self.believed.unwrap_or(DEFAULT_TTL);
                self.deadline = sent + self.ttl.max(UNKNOWN_EXPIRY_TIMEOUT);
            }
        }
    }

    /// The length of the lease that heartbeats are timed by.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// When the request was sent that the lease counts from.
    pub(crate) fn granted(&self) -> Instant {
        self.granted
    }

    /// When the lease is over unless it is extended.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time until the deadline.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The TTL of a lease that ends at `expires_at`: by the server's clock if `date` is known, else by the
/// node's, else (if neither is believable) unknown.
fn believable_ttl(
    expires_at: OffsetDateTime,
    date: Option<OffsetDateTime>,
    wall: OffsetDateTime,
) -> Option<Duration> {
    let until = |now: OffsetDateTime| {
        // Less means a clock that is off or an expiry that is stale: heartbeats timed by it would be a flood.
        Duration::try_from(expires_at - now).ok().filter(|ttl| *ttl >= Duration::from_millis(1))
    };
    match date.and_then(until) {
        Some(ttl) => Some(ttl.min(MAX_TTL)),
        // A lease that was just granted has not ended: a `Date` by which it has is treated like a missing one.
        None => until(wall).filter(|ttl| *ttl <= MAX_TTL),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::ext::NumericalDuration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_servers_own_date_beats_a_wall_clock_that_is_off() {
        let server = OffsetDateTime::UNIX_EPOCH + 1000.hours();
        for skew in [(-2).hours(), 0.hours(), 2.hours()] {
            assert_eq!(
                believable_ttl(server + 60.seconds(), Some(server), server + skew),
                Some(MINUTE),
                "with a wall clock {skew} off"
            );
        }
    }

    #[test]
    fn without_a_date_an_absurd_wall_clock_is_not_believed() {
        let server = OffsetDateTime::UNIX_EPOCH + 1000.hours();
        assert_eq!(believable_ttl(server + 60.seconds(), None, server), Some(MINUTE));
        assert_eq!(believable_ttl(server + 60.seconds(), None, server + 2.hours()), None, "it is ahead");
        assert_eq!(believable_ttl(server + 60.seconds(), None, server - 2.hours()), None, "it is behind");
    }

    #[test]
    fn a_very_long_lease_is_renewed_as_if_it_were_an_hour() {
        let server = OffsetDateTime::now_utc();
        assert_eq!(believable_ttl(server + 99.days(), Some(server), server), Some(MAX_TTL));
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_expiry_falls_back_to_what_was_last_believed_and_ends_late() {
        let sent = Instant::now();
        let server = OffsetDateTime::now_utc();
        let mut clock = LeaseClock::start(sent, None, None);
        assert_eq!(clock.ttl(), DEFAULT_TTL);
        assert_eq!(clock.deadline(), sent + UNKNOWN_EXPIRY_TIMEOUT);
        clock.extend(sent, Some(server + 20.seconds()), Some(server));
        assert_eq!((clock.ttl(), clock.deadline()), (MINUTE / 3, sent + MINUTE / 3));
        clock.extend(sent, Some(server + 1.seconds()), Some(server));
        clock.extend(sent, Some(server - 5.seconds()), Some(server));
        assert_eq!(clock.ttl(), MINUTE / 3, "an expiry in the past is not taken at its word");
        assert_eq!(clock.deadline(), sent + UNKNOWN_EXPIRY_TIMEOUT);
    }
}
