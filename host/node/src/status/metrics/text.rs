//! Writes metrics in both text formats. They differ in what a counter's family is called, and in the last line.

use std::fmt::{self, Write as _};

use posemesh_net::histogram::HistogramView;

use super::accept::Format;
use super::catalog::{Kind, Metric};

/// The text so far.
pub(super) struct MetricsText {
    format: Format,
    text: String,
}

/// The values of a sample's labels, in the order of [`Metric::labels`].
pub(super) type LabelValues<'a, const N: usize> = [&'a str; N];

/// A number as it is written: a count, or a measure.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Count(u64),
    Measure(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Measure(value)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Count(u64::from(value))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(value) => value.fmt(f),
            // Debug, and not Display: always with a point, as OpenMetrics writes the ends of buckets.
            Self::Measure(value) if value.is_finite() => write!(f, "{value:?}"),
            Self::Measure(value) if value.is_nan() => f.write_str("NaN"),
            Self::Measure(value) => f.write_str(if *value > 0.0 { "+Inf" } else { "-Inf" }),
        }
    }
}

impl MetricsText {
    /// Nothing is written yet.
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// A metric without labels.
    pub(super) fn one(&mut self, metric: &Metric, value: impl Into<Number>) {
        self.family(metric, [([], value)]);
    }

    /// A metric with labels: a sample for each set of them. Without samples nothing is written.
    pub(super) fn family<'a, const N: usize, V: Into<Number>>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (LabelValues<'a, N>, V)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(metric);
        }
        for (labels, value) in samples {
            self.sample(metric.name, metric.labels, &labels, None, value.into());
        }
    }

    /// A histogram: a set of samples for each set of labels.
    pub(super) fn histograms<'a, const N: usize>(
        &mut self,
        metric: &Metric,
        views: impl IntoIterator<Item = (LabelValues<'a, N>, HistogramView)>,
    ) {
        let (bucket, sum, count) = (
            format!("{}_bucket", metric.name),
            format!("{}_sum", metric.name),
            format!("{}_count", metric.name),
        );
        self.head(metric);
        for (labels, view) in views {
            let mut so_far = 0;
            for (end, n) in view.buckets {
                so_far += n;
                self.sample(&bucket, metric.labels, &labels, Some(end), so_far.into());
            }
            self.sample(&sum, metric.labels, &labels, None, view.sum.into());
            self.sample(&count, metric.labels, &labels, None, view.count.into());
        }
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn head(&mut self, metric: &Metric) {
        let Metric { name, kind, help, .. } = metric;
        // OpenMetrics names the family of a counter without the ending that its samples have.
        let family = match self.format {
            Format::OpenMetrics if *kind == Kind::Counter => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {family} {help}");
        let _ = writeln!(self.text, "# TYPE {family} {}", kind.as_str());
    }

    fn sample(&mut self, name: &str, labels: &[&str], values: &[&str], end: Option<f64>, value: Number) {
        self.text.push_str(name);
        let mut before = '{';
        for (label, value) in labels.iter().zip(values) {
            let _ = write!(self.text, "{before}{label}=\"{}\"", Escaped(value));
            before = ',';
        }
        if let Some(end) = end {
            let _ = write!(self.text, "{before}le=\"{}\"", Number::Measure(end));
            before = ',';
        }
        self.text.push_str(if before == ',' { "} " } else { " " });
        let _ = writeln!(self.text, "{value}");
    }
}

/// The value of a label, as both formats escape it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Metric =
        Metric { name: "x_runs_total", kind: Kind::Counter, labels: &["runner"], help: "Runs" };
    const TIMES: Metric =
        Metric { name: "x_seconds", kind: Kind::Histogram, labels: &["end"], help: "Times" };

    fn written(format: Format) -> String {
        let mut out = MetricsText::new(format);
        out.family(&RUNS, [(["a\"\\\n"], 3)]);
        out.family(&RUNS, std::iter::empty::<([&str; 1], u64)>());
        let buckets = vec![(0.5, 1), (2.0, 2), (f64::INFINITY, 1)];
        out.histograms(&TIMES, [(["well"], HistogramView { buckets, count: 4, sum: 7.25 })]);
        out.finish()
    }

    #[test]
    fn a_counter_is_called_by_its_samples_name_in_one_format_and_without_its_ending_in_the_other() {
        let prometheus = written(Format::Prometheus);
        let rest = "x_runs_total{runner=\"a\\\"\\\\\\n\"} 3\n# HELP x_seconds Times\n# TYPE x_seconds histogram\n\
                    x_seconds_bucket{end=\"well\",le=\"0.5\"} 1\nx_seconds_bucket{end=\"well\",le=\"2.0\"} 3\n\
                    x_seconds_bucket{end=\"well\",le=\"+Inf\"} 4\nx_seconds_sum{end=\"well\"} 7.25\n\
                    x_seconds_count{end=\"well\"} 4\n";
        assert_eq!(prometheus, format!("# HELP x_runs_total Runs\n# TYPE x_runs_total counter\n{rest}"));
        assert_eq!(
            written(Format::OpenMetrics),
            format!("# HELP x_runs Runs\n# TYPE x_runs counter\n{rest}# EOF\n")
        );
    }

    #[test]
    fn numbers_are_written_as_both_formats_read_them() {
        let written = |number: f64| Number::from(number).to_string();
        assert_eq!([1.0, 0.25, f64::INFINITY].map(written), ["1.0", "0.25", "+Inf"]);
        assert_eq!(Number::from(true).to_string(), "1");
    }
}
