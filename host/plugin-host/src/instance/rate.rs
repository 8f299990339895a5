//! So many a second, for events and log lines.

use std::time::Instant;

/// How many seconds' worth may come at once.
const BURST_SECONDS: f64 = 10.0;

/// A token bucket: allows so many a second, and ten times that at once.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    per_second: f64,
    tokens: f64,
    last: Instant,
}

impl TokenBucket {
    /// Starts full.
    pub(crate) fn new(per_second: u64) -> Self {
        let per_second = per_second as f64;
        Self { per_second, tokens: per_second * BURST_SECONDS, last: Instant::now() }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self) -> bool {
        let now = Instant::now();
        let gained = now.duration_since(self.last).as_secs_f64() * self.per_second;
        // The cap keeps a long silence from adding up to a flood.
        self.tokens = (self.tokens + gained).min(self.per_second * BURST_SECONDS);
        self.last = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}
