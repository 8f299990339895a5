//! How often a lease is taken while a domain server is in trouble.
//!
//! Leases are asked for without naming a server, so one that is away holds up all; but a task each time, after pauses that
//! grow, keeps work for other servers going and finds out whether that one is well.

use std::time::Duration;

use posemesh_domain_client::Servers;
use posemesh_net::retry::{Backoff, Jitter};
use tokio::time::Instant;

use super::board::{Cause, Trouble};

/// The first pause is up to this long; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The pauses while servers are in trouble.
pub(super) struct ServerPacing {
    /// What is wrong now, in words.
    trouble: Box<dyn Fn() -> Option<String> + Send>,
    backoff: Backoff,
    /// No lease before; none without trouble.
    next: Option<Instant>,
}

impl ServerPacing {
    pub(super) fn new(servers: Servers) -> Self {
        Self::with(move || servers.trouble().map(|trouble| trouble.to_string()))
    }

    fn with(trouble: impl Fn() -> Option<String> + Send + 'static) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, Jitter::UPPER_HALF);
        Self { trouble: Box::new(trouble), backoff, next: None }
    }

    /// The trouble of now.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let trouble = (self.trouble)()?;
        let text = format!("{trouble}; one lease at a time is taken, after growing pauses");
        Some(Trouble::new(Cause::Server, text))
    }

    /// The trouble of now, and whether a lease may be taken all the same.
    pub(super) fn look(&mut self) -> (Option<Trouble>, bool) {
        let Some(trouble) = self.trouble() else {
            self.backoff.reset();
            self.next = None;
            return (None, true);
        };
        let may_take = self.next.is_some_and(|next| next <= Instant::now());
        if may_take || self.next.is_none() {
            self.next = Some(Instant::now() + self.backoff.next_delay());
        }
        (Some(trouble), may_take)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_away_costs_a_task_now_and_then_and_the_end_of_it_is_heard() {
        let away = Arc::new(AtomicBool::new(true));
        let seen = away.clone();
        let mut pacing =
            ServerPacing::with(move || seen.load(Ordering::Relaxed).then(|| "it is away".to_owned()));
        let (mut taken, began) = (0, Instant::now());
        while began.elapsed() < 60 * MINUTE {
            let (trouble, may_take) = pacing.look();
            assert!(trouble.unwrap().text.contains("it is away"));
            taken += u32::from(may_take);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!((10..35).contains(&taken), "{taken} leases in an hour");
        away.store(false, Ordering::Relaxed);
        assert_eq!(pacing.look(), (None, true));
        away.store(true, Ordering::Relaxed);
        assert!(!pacing.look().1, "the next trouble begins with a short pause");
        tokio::time::sleep(FIRST_PAUSE).await;
        assert!(pacing.look().1);
    }
}
