//! How many logins refusals by DMS may cause at once.

use std::time::Duration;

use tokio::time::Instant;

/// Bounds the logins that a DMS can cause that takes tokens for some requests and refuses them for others.
#[derive(Debug)]
pub(super) struct RefusalAllowance {
    /// When all of it is there again.
    full_at: Instant,
}

impl RefusalAllowance {
    /// How many logins come at once.
    const BURST: u32 = 10;
    /// How long until there is one more.
    const REFILL: Duration = Duration::from_secs(10);

    /// All of it.
    pub(super) fn new() -> Self {
        Self { full_at: Instant::now() }
    }

    /// Takes one. Returns the moment from which it may be used.
    pub(super) fn take(&mut self, now: Instant) -> Instant {
        self.full_at = self.full_at.max(now) + Self::REFILL;
        self.full_at.checked_sub(Self::REFILL * Self::BURST).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn some_come_at_once_then_one_at_a_time_and_a_pause_fills_it_up_again() {
        let mut allowance = RefusalAllowance::new();
        let now = Instant::now();
        let waits: Vec<u64> = (0..13).map(|_| (allowance.take(now) - now).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30]);
        let later = now + Duration::from_secs(600);
        assert_eq!(allowance.take(later), later);
    }
}
