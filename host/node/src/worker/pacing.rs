//! When to ask for work again (protocol 4.1).

use std::time::Duration;

use posemesh_net::retry::{Backoff, Jitter, uniform};
use tokio::time::Instant;

/// The longest `Retry-After` that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// How long no work is asked for after a capability has gone.
const WITHDRAWN_WAIT: Duration = Duration::from_secs(1);
/// The longest that a poll may take whose lease lets further ones be sent beside the next.
const QUICK: Duration = Duration::from_millis(250);
/// The longest wait before the machine is looked at again: it may be well by then.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// Decides when the next `GET /tasks` is due.
#[derive(Debug)]
pub(super) struct PollPacing {
    min: Duration,
    max: Duration,
    /// Grows with failed polls in a row.
    errors: Backoff,
    /// Grows with leases in a row that got nowhere.
    fruitless: Backoff,
    /// Grows with leases in a row on tasks for capabilities that have gone.
    withdrawn: Backoff,
    /// Grows with looks in a row that found something missing.
    looks: Backoff,
    next: Instant,
    /// Whether `next` must be kept even if a lease ends before.
    hold: bool,
    /// When `next` was set.
    set: Instant,
    /// When a poll failed last, if none was answered well since.
    failed: Option<Instant>,
    /// The last answer brought a lease, and soon.
    leased: bool,
    /// No lease was worked on since one got nowhere.
    got_nowhere: bool,
}

impl PollPacing {
    /// The first poll is due at once; idle waits are between these two, in whichever order they are given.
    pub(super) fn new(one: Duration, other: Duration) -> Self {
        let (min, max) = (one.min(other), one.max(other));
        // Twice the shortest wait, because the wait is drawn from the upper half: it never falls below `min`.
        let backoff = Backoff::new((2 * min).min(max), max, Jitter::UPPER_HALF);
        let looks = Backoff::new((2 * min).min(LONGEST_LOOK), LONGEST_LOOK, Jitter::UPPER_HALF);
        Self {
            min,
            max,
            errors: backoff.clone(),
            fruitless: backoff.clone(),
            withdrawn: backoff,
            looks,
            next: Instant::now(),
            hold: false,
            set: Instant::now(),
            failed: None,
            leased: false,
            got_nowhere: false,
        }
    }

    /// When the next poll is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Whether polls soon bring leases that are worked on, so that more than one may be under way.
    pub(super) fn flows(&self) -> bool {
        self.leased && !self.got_nowhere
    }

    /// A lease was granted by a poll of this moment: if there is a slot for another, the next poll is due at once.
    pub(super) fn leased(&mut self, sent: Instant) {
        self.answered();
        self.looks.reset();
        self.withdrawn.reset();
        // Polls that take long would gain nothing by it, and each may bring a lease when the node stops.
        self.leased = sent.elapsed() <= QUICK;
        // A lease that got nowhere since the poll was sent says more than that there was a further one.
        if !self.is_held_since(sent) {
            self.set(Duration::ZERO, false);
        }
    }

    /// Whether a wait that must be kept began after this moment.
    fn is_held_since(&self, sent: Instant) -> bool {
        self.hold && sent < self.set
    }

    /// Waits after the answer of a poll of this moment, and not less than what must be kept since.
    fn set_after(&mut self, sent: Instant, wait: Duration, hold: bool) {
        let held = if self.is_held_since(sent) {
            self.next.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        };
        self.set(wait.max(held), hold || !held.is_zero());
    }

    /// A lease was granted on a task for a capability that has gone: the next may be one as well, so the waits grow.
    pub(super) fn leased_withdrawn(&mut self) {
        self.answered();
        self.looks.reset();
        // Held: the end of that task must not lead straight to another one.
        let wait = self.withdrawn.next_delay();
        self.set(wait, true);
    }

    /// The server has no work.
    pub(super) fn no_work(&mut self, sent: Instant) {
        self.answered();
        // Random, so that idle nodes do not ask in step.
        let wait = uniform(self.min, self.max);
        self.set_after(sent, wait, false);
    }

    /// The server says that the node holds a lease. If leases are worked on here, the end of one is the time
    /// to ask again; if not, the lease of an earlier process has to expire.
    pub(super) fn busy(&mut self, sent: Instant, active: usize) {
        self.answered();
        // While leases are worked on, the end of one cuts the wait short (`progress`): it may be the longest.
        let wait = if active > 0 { self.max } else { uniform(self.min, self.max) };
        self.set_after(sent, wait, false);
    }

    /// A poll of this moment failed. Returns the wait.
    pub(super) fn failed(&mut self, sent: Instant, retry_after: Option<Duration>) -> Duration {
        let requested = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        // Polls that were under way together fail together: they count as one.
        let wait = match self.failed.is_some_and(|failed| sent < failed) {
            true => self.next.saturating_duration_since(Instant::now()).max(requested),
            false => self.errors.next_delay().max(requested),
        };
        self.failed = Some(Instant::now());
        self.leased = false;
        // Held: the end of a lease says nothing about whether the server answers polls again.
        self.set_after(sent, wait, true);
        wait
    }

    /// The server has answered a poll, whatever it said.
    fn answered(&mut self) {
        self.errors.reset();
        self.failed = None;
        self.leased = false;
    }

    /// A capability has gone: DDS is told at once, and hears of it within a moment.
    pub(super) fn withdrawn(&mut self) {
        let wait = self.next.max(Instant::now() + WITHDRAWN_WAIT) - Instant::now();
        self.set(wait, true);
    }

    /// No request was sent: what a task may need is not there. If leases are worked on here, the end of one may bring
    /// it.
    pub(super) fn refused(&mut self, active: usize) {
        let wait = if active > 0 { self.max.min(LONGEST_LOOK) } else { self.looks.next_delay() };
        self.set(wait, false);
    }

    /// A lease ended after its runner had worked: the next poll is due at once, unless polls fail.
    pub(super) fn progress(&mut self) {
        self.fruitless.reset();
        self.got_nowhere = false;
        if !self.hold {
            self.next = Instant::now();
        }
    }

    /// A lease got nowhere: it could not be started, was cancelled already, can't be read or was lost. The
    /// next may be the same one, so the waits grow. Returns the wait.
    pub(super) fn no_progress(&mut self) -> Duration {
        self.got_nowhere = true;
        let wait = self.fruitless.next_delay();
        // Never brought forward: a back-off after failed polls may be the longer wait.
        let longest = wait.max(self.next.saturating_duration_since(Instant::now()));
        // Held: the end of another lease must not lead straight back to the task that got nowhere.
        self.set(longest, true);
        wait
    }

    fn set(&mut self, wait: Duration, hold: bool) {
        self.set = Instant::now();
        self.next = self.set + wait;
        self.hold = hold;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pacing() -> PollPacing {
        PollPacing::new(30 * SECOND, SECOND)
    }

    fn wait(pacing: &PollPacing) -> Duration {
        pacing.next().saturating_duration_since(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn idle_waits_are_uniform_between_the_bounds() {
        let mut pacing = pacing();
        let waits: Vec<f64> = (0..2000)
            .map(|_| {
                pacing.no_work(Instant::now());
                wait(&pacing).as_secs_f64()
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
        let mut pacing = pacing();
        for longest in [2, 4, 8, 16, 30, 30] {
            assert!(pacing.failed(Instant::now(), None) <= longest * SECOND);
        }
        assert!(wait(&pacing) >= 15 * SECOND);
        pacing.leased(Instant::now());
        assert_eq!(wait(&pacing), Duration::ZERO);
        assert!(pacing.failed(Instant::now(), None) <= 2 * SECOND, "the count starts over");
        assert_eq!(
            pacing.failed(Instant::now(), Some(77 * SECOND)),
            77 * SECOND,
            "the server's Retry-After counts"
        );
        assert_eq!(pacing.failed(Instant::now(), Some(99_999 * SECOND)), MAX_RETRY_AFTER, "within reason");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_lease_shortens_an_idle_wait_but_not_a_back_off() {
        let mut pacing = pacing();
        pacing.busy(Instant::now(), 1);
        assert_eq!(wait(&pacing), 30 * SECOND);
        pacing.progress();
        assert_eq!(wait(&pacing), Duration::ZERO);
        let back_off = pacing.failed(Instant::now(), None);
        pacing.progress();
        assert_eq!(wait(&pacing), back_off);
    }

    #[tokio::test(start_paused = true)]
    async fn leases_for_what_has_gone_slow_the_node_down_until_one_is_for_what_is_there() {
        let mut pacing = pacing();
        for (low, high) in [(1, 2), (2, 4), (4, 8)] {
            pacing.leased_withdrawn();
            pacing.progress();
            assert!(wait(&pacing) >= low * SECOND && wait(&pacing) <= high * SECOND);
        }
        pacing.leased(Instant::now());
        assert_eq!(wait(&pacing), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_get_nowhere_slow_the_node_down_more_and_more() {
        let mut pacing = pacing();
        for (low, high) in [(1, 2), (2, 4), (4, 8)] {
            pacing.leased(Instant::now());
            pacing.no_progress();
            assert!(wait(&pacing) >= low * SECOND && wait(&pacing) <= high * SECOND);
        }
        pacing.progress();
        pacing.leased(Instant::now());
        assert!(pacing.no_progress() <= 2 * SECOND, "work that was done forgives");
    }

    #[tokio::test(start_paused = true)]
    async fn polls_that_were_under_way_together_fail_as_one() {
        let mut pacing = pacing();
        let sent = Instant::now();
        tokio::time::advance(SECOND).await;
        let first = pacing.failed(sent, None);
        for _ in 0..3 {
            assert_eq!(pacing.failed(sent, None), first);
        }
        assert_eq!(pacing.failed(sent, Some(9 * SECOND)), 9 * SECOND, "the server's Retry-After counts");
        tokio::time::advance(9 * SECOND).await;
        let later = pacing.failed(Instant::now(), None);
        assert!(later >= 2 * SECOND && later <= 4 * SECOND, "the second in a row, not {later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn leases_flow_while_they_are_worked_on() {
        let mut pacing = pacing();
        assert!(!pacing.flows(), "nothing is known yet");
        let sent = Instant::now();
        pacing.leased(sent - 2 * QUICK);
        assert!(!pacing.flows(), "it took long");
        pacing.leased(sent);
        assert!(pacing.flows());
        pacing.no_work(Instant::now());
        assert!(!pacing.flows());
        pacing.leased(sent);
        pacing.failed(sent, None);
        assert!(!pacing.flows());
        pacing.leased(Instant::now());
        assert!(pacing.flows());
        tokio::time::advance(SECOND).await;
        pacing.no_progress();
        assert!(!pacing.flows());
        let held = wait(&pacing);
        pacing.leased(sent);
        assert_eq!(wait(&pacing), held, "asked for before a lease got nowhere");
        for _ in 0..20 {
            pacing.no_work(sent);
            assert!(wait(&pacing) >= held, "asked before, too");
        }
        pacing.progress();
        assert!(wait(&pacing) >= held, "held all the same");
        pacing.no_progress();
        pacing.leased(Instant::now());
        assert!(!pacing.flows(), "not before one gets on");
        pacing.progress();
        assert!(pacing.flows());
    }
}
