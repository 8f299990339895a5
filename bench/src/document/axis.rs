//! An axis of a plot: from values to places, and the values that it names.

/// An axis on which equal ratios are equally far apart, unless it begins at zero.
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Where it begins and ends in the picture.
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis for these values between two places.
    pub(super) fn of(values: &[f64], (from, to): (f64, f64)) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // What grows less than eightfold, or begins at nothing, is seen better as it is.
        let log = low > 0.0 && high / low >= 8.0;
        if log {
            Self { low, high, log, from, to }
        } else {
            Self { low: 0.0, high: high.max(1e-9), log, from, to }
        }
    }

    /// The same, with a little room at both ends.
    pub(super) fn with_room(mut self) -> Self {
        match self.log {
            true => {
                let room = (self.high / self.low).powf(0.04);
                self.low /= room;
                self.high *= room;
            }
            false => self.high *= 1.05,
        }
        self
    }

    /// The place of a value.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.log {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + (self.to - self.from) * share
    }

    /// Round values along it, at most nine.
    pub(super) fn marks(&self) -> Vec<f64> {
        if !self.log {
            let step = round_up(self.high / 6.0);
            return (0..=7).map(|at| step * f64::from(at)).filter(|mark| *mark <= self.high).collect();
        }
        [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]]
            .iter()
            .map(|steps| self.powers(steps))
            .find(|marks| marks.len() <= 9)
            .unwrap_or_else(|| self.powers(&[1.0]))
    }

    fn powers(&self, steps: &[f64]) -> Vec<f64> {
        // From a tenth of the least value on: powers of ten are few.
        #[allow(clippy::cast_possible_truncation)]
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let marks = (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        marks.filter(|mark| (self.low..=self.high).contains(mark)).collect()
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= value * 0.999)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let axis = Axis::of(&[1.0, 100.0], (0.0, 200.0));
        assert_eq!((axis.place(1.0), axis.place(10.0), axis.place(100.0)), (0.0, 100.0, 200.0));
        let axis = Axis::of(&[10.0, 30.0], (300.0, 0.0));
        assert_eq!((axis.place(0.0), axis.place(30.0)), (300.0, 0.0));
        let same = Axis::of(&[0.0], (0.0, 10.0));
        assert!(same.place(0.0).is_finite());
    }

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(Axis::of(&[1.0, 128.0], (0.0, 1.0)).marks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(Axis::of(&[12.0, 60.0], (0.0, 1.0)).marks(), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        for high in [10.0, 1e3, 1e6, 1e12] {
            let marks = Axis::of(&[1.0, high], (0.0, 1.0)).marks();
            assert!((2..=13).contains(&marks.len()), "{marks:?}");
        }
    }
}
