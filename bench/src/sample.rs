//! Statistics of repeated measurements of a time.

use std::fmt;
use std::time::Duration;

/// Measured times, sorted.
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// A sample of these times, at least one.
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The median.
    pub(crate) fn median(&self) -> Duration {
        self.at(0.5)
    }

    /// The shortest and the longest time.
    pub(crate) fn range(&self) -> (Duration, Duration) {
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
        write!(f, "{} | {}", ThreeDigits(self.median()), ThreeDigits(self.at(0.99)))
    }
}

/// Shows a time with three significant digits.
pub(crate) struct ThreeDigits(pub(crate) Duration);

impl fmt::Display for ThreeDigits {
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
