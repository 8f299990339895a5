//! One figure: the median of repeated measurements, their spread, and how it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Count,
    /// Of a hundred.
    Percent,
    Ratio,
}

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    /// The 5th percentile: of few runs, the least.
    pub(crate) low: f64,
    /// The 95th percentile: of few runs, the greatest.
    pub(crate) high: f64,
    /// How many measurements it is made of.
    pub(crate) runs: usize,
}

impl Figure {
    /// What was measured once, or can't be told apart.
    pub(crate) fn one(value: f64) -> Self {
        Self { median: value, low: value, high: value, runs: 1 }
    }

    /// Of repeated measurements, at least one.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self {
            median: percentile(&values, 0.5),
            low: percentile(&values, 0.05),
            high: percentile(&values, 0.95),
            runs: values.len(),
        }
    }

    /// Of repeated measurements of a time.
    pub(crate) fn of_times(times: &[Duration]) -> Self {
        Self::of(times.iter().map(Duration::as_secs_f64).collect())
    }

    /// The value that one of a hundred measurements exceeds: of few, the greatest.
    pub(crate) fn slowest(times: &[Duration]) -> Self {
        let mut values: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        values.sort_unstable_by(f64::total_cmp);
        let value = percentile(&values, 0.99);
        Self { runs: values.len(), ..Self::one(value) }
    }

    /// The same with each value changed, in an order that may be the other way round.
    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let (one, other) = (change(self.low), change(self.high));
        Self { median: change(self.median), low: one.min(other), high: one.max(other), runs: self.runs }
    }

    /// As a cell of a table.
    pub(crate) fn shown(self, unit: Unit) -> String {
        let (median, low, high) = (unit.shown(self.median), unit.shown(self.low), unit.shown(self.high));
        if low == median && high == median { median } else { format!("{median} ({low} to {high})") }
    }
}

/// Of sorted values.
fn percentile(values: &[f64], share: f64) -> f64 {
    // Counts of a bench are far below 2^52.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or_default()
}

impl Unit {
    /// A value with its unit, to three digits.
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::Seconds => {
                scaled(value, &[(1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min")])
            }
            Self::Bytes => bytes(value, ""),
            Self::BytesPerSecond => bytes(value, "/s"),
            Self::Percent => format!("{} %", digits(value)),
            Self::PerSecond | Self::Count => whole(value),
            Self::Ratio => format!("{value:.2}"),
        }
    }

    /// What a column or an axis says of it, beside its name.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::PerSecond => " a second",
            _ => "",
        }
    }
}

fn bytes(value: f64, end: &str) -> String {
    const KIB: f64 = 1024.0;
    let units = [
        (1.0, "bytes"),
        (KIB, "KiB"),
        (KIB * KIB, "MiB"),
        (KIB * KIB * KIB, "GiB"),
        (KIB * KIB * KIB * KIB, "TiB"),
    ];
    scaled(value, &units) + end
}

/// With the largest unit that the value has one of.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = units.iter().rev().find(|(size, _)| value.abs() >= *size).or(units.first());
    let (size, name) = fits.copied().unwrap_or((1.0, ""));
    format!("{} {name}", digits(value / size))
}

/// Three significant digits, and no more of a fraction than says something.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match text.strip_suffix(".00").or_else(|| text.strip_suffix(".0")) {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A count, with commas between thousands.
fn whole(value: f64) -> String {
    if value.abs() < 1000.0 {
        return digits(value);
    }
    let text = format!("{value:.0}");
    let mut shown = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) && !shown.ends_with('-') {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_a_unit_that_fits() {
        for (unit, value, shown) in [
            (Unit::Seconds, 0.000_000_25, "250 ns"),
            (Unit::Seconds, 0.001_234, "1.23 ms"),
            (Unit::Seconds, 12.34, "12.3 s"),
            (Unit::Seconds, 600.0, "10 min"),
            (Unit::Seconds, 0.0, "0 ns"),
            (Unit::Bytes, 1_048_576.0, "1 MiB"),
            (Unit::Bytes, 1000.0, "1000 bytes"),
            (Unit::BytesPerSecond, 515.4 * 1_048_576.0, "515 MiB/s"),
            (Unit::Count, 1_234_567.0, "1,234,567"),
            (Unit::Count, 12.5, "12.5"),
            (Unit::PerSecond, 996.2, "996"),
            (Unit::Percent, 0.14, "0.14 %"),
            (Unit::Ratio, 1.0, "1.00"),
        ] {
            assert_eq!(unit.shown(value), shown);
        }
    }

    #[test]
    fn a_figure_has_its_median_and_its_spread() {
        let few = Figure::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((few.median, few.low, few.high, few.runs), (2.0, 1.0, 3.0, 3));
        let many = Figure::of((0..=100).map(f64::from).collect());
        assert_eq!((many.median, many.low, many.high, many.runs), (50.0, 5.0, 95.0, 101));
        assert_eq!(few.shown(Unit::Count), "2 (1 to 3)");
        assert_eq!(Figure::one(2.0).shown(Unit::Count), "2");
        let turned = few.map(|value| 1.0 / value);
        assert_eq!((turned.low, turned.high), (1.0 / 3.0, 1.0));
    }
}
