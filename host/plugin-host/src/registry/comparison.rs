//! How surprising the share of one generation is beside that of another. Pure.

/// The most runs of either side that are counted; more keep their share. So that a comparison costs little.
const MAX_RUNS: u64 = 1000;

/// So many of so many runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) some: u64,
    pub(crate) all: u64,
}

impl Share {
    /// The same share of at most so many runs.
    pub(crate) fn of_at_most(self, most: u64) -> Self {
        if self.all <= most {
            return self;
        }
        // Both are counts of runs: their product with 1000 is far below 2^128.
        let some =
            (u128::from(self.some) * u128::from(most) + u128::from(self.all) / 2) / u128::from(self.all);
        Self { some: u64::try_from(some).unwrap_or(most).min(most), all: most }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { some: self.some.saturating_add(other.some), all: self.all.saturating_add(other.all) }
    }
}

/// How likely a share at least as high as that of `sample` would be if it and `reference` were alike: Fisher's exact test,
/// one-sided, which is right for small numbers too.
pub(crate) fn chance(sample: Share, reference: Share) -> f64 {
    let (sample, reference) = (sample.of_at_most(MAX_RUNS), reference.of_at_most(MAX_RUNS));
    let total = sample.and(reference);
    let choices =
        |all: u64, some: u64| ln_factorial(all) - ln_factorial(some) - ln_factorial(all.saturating_sub(some));
    let most = sample.all.min(total.some);
    let ways = (sample.some..=most).filter(|some| sample.all - some <= total.all - total.some).map(|some| {
        let ln = choices(total.some, some) + choices(total.all - total.some, sample.all - some)
            - choices(total.all, sample.all);
        ln.exp()
    });
    ways.sum::<f64>().min(1.0)
}

fn ln_factorial(number: u64) -> f64 {
    // At most 2000 terms.
    (2..=number).map(|factor| (factor as f64).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(some: u64, all: u64) -> Share {
        Share { some, all }
    }

    #[test]
    fn it_is_fishers_test() {
        // "The lady tasting tea": 3 of 4 cups right has a chance of 17 in 70, 4 of 4 of 1 in 70.
        for (some, want) in [(3, 17.0 / 70.0), (4, 1.0 / 70.0), (0, 1.0)] {
            let got = chance(of(some, 4), of(4 - some, 4));
            assert!((got - want).abs() < 1e-9, "{some}: {got}");
        }
        assert!(chance(of(0, 0), of(3, 9)) > 0.999, "nothing says nothing");
    }

    #[test]
    fn large_numbers_keep_their_share_and_cost_little() {
        assert_eq!(of(1_000_000, 4_000_000).of_at_most(1000), of(250, 1000));
        assert_eq!(of(u64::MAX, u64::MAX).of_at_most(1000), of(1000, 1000));
        assert!(chance(of(300_000, 1_000_000), of(u64::MAX / 10, u64::MAX)) < 1e-6);
        assert!(chance(of(100_000, 1_000_000), of(u64::MAX / 10, u64::MAX)) > 0.4);
    }
}
