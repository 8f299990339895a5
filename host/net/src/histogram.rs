//! Counts by size, and counts by word: what metrics are made of, and what may be added to from anywhere without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Observations, counted by the bucket that each falls into. Adding takes no lock and no memory.
///
/// ```
/// use posemesh_net::histogram::Histogram;
///
/// static WAITS: Histogram<2> = Histogram::new([0.1, 1.0]);
/// WAITS.observe(0.05);
/// WAITS.observe(7.0);
/// let view = WAITS.view();
/// assert_eq!(view.buckets, [(0.1, 1), (1.0, 0), (f64::INFINITY, 1)]);
/// assert_eq!((view.count, view.sum), (2, 7.05));
/// ```
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// The upper ends of the buckets, ascending; what is above them all is counted as well.
    bounds: [f64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    /// Millionths, since there is no atomic float.
    sum_micros: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramView {
    /// The upper end of each bucket and how many observations are in it and in none below it; the last end is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// How many observations there are.
    pub count: u64,
    /// All of them, added up.
    pub sum: f64,
}

impl<const N: usize> Histogram<N> {
    /// Without observations; the bounds ascend.
    pub const fn new(bounds: [f64; N]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; N],
            above: AtomicU64::new(0),
            sum_micros: AtomicU64::new(0),
        }
    }

    /// Counts one observation. One that is negative or no number counts as 0: a sum must not fall.
    pub fn observe(&self, value: f64) {
        let value = value.max(0.0);
        // The end belongs to its bucket: `le` is "less or equal".
        let at = self.bounds.iter().position(|bound| value <= *bound);
        let count = at.and_then(|at| self.counts.get(at)).unwrap_or(&self.above);
        // Relaxed: nothing else is ordered by these.
        count.fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }

    /// Counts a time, in seconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// What was observed so far.
    pub fn view(&self) -> HistogramView {
        let below = self.bounds.iter().zip(&self.counts);
        let mut buckets: Vec<(f64, u64)> =
            below.map(|(bound, count)| (*bound, count.load(Ordering::Relaxed))).collect();
        buckets.push((f64::INFINITY, self.above.load(Ordering::Relaxed)));
        // Of the buckets and not counted beside them: both are the same whatever is added meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        HistogramView { buckets, count, sum: self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6 }
    }
}

/// Counts by word; the words are fixed, so that their number is.
///
/// ```
/// use posemesh_net::histogram::Tally;
///
/// static ENDS: Tally<2> = Tally::new(["well", "badly"]);
/// ENDS.count("well");
/// assert_eq!(ENDS.view(), [("well", 1), ("badly", 0)]);
/// ```
#[derive(Debug)]
pub struct Tally<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Tally<N> {
    /// Nothing is counted yet.
    pub const fn new(words: [&'static str; N]) -> Self {
        Self { words, counts: [const { AtomicU64::new(0) }; N] }
    }

    /// Adds one to this word. A word that is not among those given is not counted.
    pub fn count(&self, word: &str) {
        let at = self.words.iter().position(|one| *one == word);
        if let Some(count) = at.and_then(|at| self.counts.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each word with its count, in the order in which they were given.
    pub fn view(&self) -> [(&'static str, u64); N] {
        std::array::from_fn(|at| {
            let count = self.counts.get(at).map(|count| count.load(Ordering::Relaxed));
            (self.words.get(at).copied().unwrap_or_default(), count.unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_bucket_is_in_it_and_what_is_no_number_counts_as_nothing() {
        let histogram = Histogram::new([1.0, 2.0]);
        for value in [1.0, 1.5, 2.0, 2.5, -1.0, f64::NAN] {
            histogram.observe(value);
        }
        let view = histogram.view();
        assert_eq!(view.buckets, [(1.0, 3), (2.0, 2), (f64::INFINITY, 1)]);
        assert_eq!((view.count, view.sum), (6, 7.0));
    }

    #[test]
    fn an_unknown_word_is_not_counted() {
        let tally = Tally::new(["a", "b"]);
        tally.count("b");
        tally.count("c");
        assert_eq!(tally.view(), [("a", 0), ("b", 1)]);
    }
}
