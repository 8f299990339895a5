//! Times of one thing done many times.

use std::fmt;
use std::time::Duration;

/// Times, sorted.
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Of these times; at least one.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The one in the middle.
    pub fn median(&self) -> Duration {
        self.at(0.5)
    }

    /// The fastest and the slowest.
    pub fn range(&self) -> (Duration, Duration) {
        (self.at(0.0), self.at(1.0))
    }

    fn at(&self, share: f64) -> Duration {
        // Counts of a bench are far below 2^52.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = ((self.0.len().saturating_sub(1)) as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// Two cells of a table: the median and the 99th percentile (the slowest, if there are few).
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", Short(self.median()), Short(self.at(0.99)))
    }
}

/// A time with three digits.
pub struct Short(pub Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_secs_f64() * 1e6;
        let (value, unit) = match micros {
            us if us < 1e3 => (us, "µs"),
            us if us < 1e6 => (us / 1e3, "ms"),
            us => (us / 1e6, "s"),
        };
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {unit}")
    }
}
