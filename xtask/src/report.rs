//! Steps with a name, a time and an outcome, and the summary of a run of them.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The steps that were done so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    took: Duration,
    ok: bool,
}

impl Report {
    /// Runs one step. A failure is printed at once and kept for the summary; the caller goes on with steps that
    /// do not need the result.
    pub(crate) fn step<T>(&mut self, name: impl Display, work: impl FnOnce() -> Result<T>) -> Option<T> {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let row = Row { name: name.to_string(), took, ok: result.is_ok() };
        eprintln!("-- {}", row.text());
        self.rows.push(row);
        result.inspect_err(|error| eprintln!("error: {error:#}")).ok()
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// If a step failed, with the names of those that did.
    pub(crate) fn finish(self) -> Result<()> {
        eprintln!("\n== summary");
        for row in &self.rows {
            eprintln!("   {}", row.text());
        }
        let failed: Vec<_> = self.rows.iter().filter(|row| !row.ok).map(|row| row.name.as_str()).collect();
        match failed.len() {
            0 => Ok(()),
            count => bail!("{count} of {} steps failed: {}", self.rows.len(), failed.join(", ")),
        }
    }
}

impl Row {
    fn text(&self) -> String {
        let outcome = if self.ok { "ok" } else { "FAILED" };
        format!("{outcome:<6} {:>7.1} s  {}", self.took.as_secs_f64(), self.name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failed_step_is_named_at_the_end_and_the_others_still_run() {
        let mut report = Report::default();
        assert_eq!(report.step("one", || Ok(1)), Some(1));
        assert_eq!(report.step::<()>("two", || Err(anyhow!("no"))), None);
        assert_eq!(report.step("three", || Ok(3)), Some(3));
        let error = report.finish().unwrap_err().to_string();
        assert_eq!(error, "1 of 3 steps failed: two");
    }

    #[test]
    fn a_run_without_failures_is_fine() {
        let mut report = Report::default();
        report.step("one", || Ok(()));
        assert!(report.finish().is_ok());
    }
}
