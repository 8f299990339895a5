//! When to ask for work again (protocol 4.1, with growth where something is wrong).

use std::time::Duration;

use tokio::time::Instant;

use posemesh_net::retry::{Backoff, Jitter, uniform};

/// The longest that a server may ask us to stay away.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Decides when the next `GET /tasks` is due.
#[derive(Debug)]
pub struct Pace {
    shortest: Duration,
    longest: Duration,
    /// Failed polls in a row.
    errors: Backoff,
    /// Leases in a row that got nowhere.
    stumbles: Backoff,
    next: Instant,
    /// Whether `next` must be kept even if a worker becomes free.
    hold: bool,
}

impl Pace {
    /// The first poll is due at once; later ones after a time between these two.
    pub fn new(one: Duration, other: Duration) -> Self {
        let (shortest, longest) = (one.min(other), one.max(other));
        let backoff = Backoff::new((2 * shortest).min(longest), longest, Jitter::UPPER_HALF);
        Self {
            shortest,
            longest,
            errors: backoff.clone(),
            stumbles: backoff,
            next: Instant::now(),
            hold: false,
        }
    }

    /// When the next poll is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// A lease came: if there is a worker for another, ask at once.
    pub fn leased(&mut self) {
        self.errors.reset();
        self.set(Duration::ZERO, false);
    }

    /// There was no work.
    pub fn idle(&mut self) {
        self.errors.reset();
        let wait = uniform(self.shortest, self.longest);
        self.set(wait, false);
    }

    /// The node holds a lease already. If it is one that we know, its end is the time to ask again;
    /// if not, it belongs to an earlier life of this node and has to expire.
    pub fn busy(&mut self, running: usize) {
        self.errors.reset();
        let wait = if running > 0 { self.longest } else { uniform(self.shortest, self.longest) };
        self.set(wait, false);
    }

    /// Asking failed.
    pub fn failed(&mut self, retry_after: Option<Duration>) -> Duration {
        let wanted = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let wait = self.errors.next_delay().max(wanted);
        self.set(wait, true);
        wait
    }

    /// A lease ended after its runner had worked: ask again at once, unless asking itself fails.
    pub fn worked(&mut self) {
        self.stumbles.reset();
        if !self.hold {
            self.next = Instant::now();
        }
    }

    /// A lease got nowhere: it could not be started, was cancelled already, can't be read or was lost.
    /// The next may be the same, so the waits grow.
    pub fn stumbled(&mut self) -> Duration {
        let wait = self.stumbles.next_delay();
        self.next = self.next.max(Instant::now() + wait);
        self.hold = true;
        wait
    }

    fn set(&mut self, wait: Duration, hold: bool) {
        self.next = Instant::now() + wait;
        self.hold = hold;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace::new(30 * SECOND, SECOND)
    }

    fn wait(pace: &Pace) -> Duration {
        pace.next().saturating_duration_since(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn idle_waits_are_uniform_between_the_bounds() {
        let mut pace = pace();
        let waits: Vec<f64> = (0..2000)
            .map(|_| {
                pace.idle();
                wait(&pace).as_secs_f64()
            })
            .collect();
        assert!(waits.iter().all(|wait| (1.0..=30.0).contains(wait)), "every wait is within 1 to 30 s");
        let mean = waits.iter().sum::<f64>() / 2000.0;
        assert!((14.5..16.5).contains(&mean), "the mean of a uniform draw is 15.5 s, not {mean}");
        for third in 0..3 {
            let low = 1.0 + 29.0 / 3.0 * f64::from(third);
            let inside = waits.iter().filter(|wait| (low..low + 29.0 / 3.0).contains(*wait)).count();
            assert!(
                (550..800).contains(&inside),
                "about a third of the waits is from {low} s, not {inside} of 2000"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn errors_back_off_and_a_good_answer_forgives() {
        let mut pace = pace();
        for longest in [2, 4, 8, 16, 30, 30] {
            assert!(pace.failed(None) <= longest * SECOND);
        }
        assert!(wait(&pace) >= 15 * SECOND);
        pace.leased();
        assert_eq!(wait(&pace), Duration::ZERO);
        assert!(pace.failed(None) <= 2 * SECOND, "the count starts over");
        assert_eq!(pace.failed(Some(77 * SECOND)), 77 * SECOND, "the server's Retry-After counts");
        assert_eq!(pace.failed(Some(99_999 * SECOND)), LONGEST_RETRY_AFTER, "within reason");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_lease_shortens_an_idle_wait_but_not_a_back_off() {
        let mut pace = pace();
        pace.busy(1);
        assert_eq!(wait(&pace), 30 * SECOND);
        pace.worked();
        assert_eq!(wait(&pace), Duration::ZERO);
        let back_off = pace.failed(None);
        pace.worked();
        assert_eq!(wait(&pace), back_off);
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_get_nowhere_slow_the_node_down_more_and_more() {
        let mut pace = pace();
        for (low, high) in [(1, 2), (2, 4), (4, 8)] {
            pace.leased();
            pace.stumbled();
            assert!(wait(&pace) >= low * SECOND && wait(&pace) <= high * SECOND);
        }
        pace.worked();
        pace.leased();
        assert!(pace.stumbled() <= 2 * SECOND, "work that was done forgives");
    }
}
