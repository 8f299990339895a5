//! Random choices that depend on a seed alone.

use std::time::Duration;

/// A stream of random choices. Streams of one seed are independent, so that a choice more in one place moves no other.
pub(super) struct Draw(fastrand::Rng);

impl Draw {
    /// The stream of this name.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        // Neighbouring seeds and streams must not begin alike.
        let mixed = (seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self(fastrand::Rng::with_seed(mixed ^ (mixed >> 29)))
    }

    /// Whether something happens that happens so often in a thousand times.
    pub(super) fn in_thousand(&mut self, times: u64) -> bool {
        self.0.u64(0..1000) < times
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high)
    }

    /// A duration from `low` to `high` milliseconds.
    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of these.
    pub(super) fn of<T: Copy, const N: usize>(&mut self, values: [T; N]) -> T {
        values[self.0.usize(0..N)]
    }
}
