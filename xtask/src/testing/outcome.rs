//! How a test program went, as it printed it.

use std::time::Duration;

use anyhow::Result;

use crate::process::Ending;
use crate::testing::machine::read;
use crate::testing::pool::Ended;

/// How a test program went.
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) ok: bool,
    /// The tests that were running when the program was killed at its time limit.
    hung: Option<Vec<String>>,
    /// Whether it failed beside the others, and passed alone.
    pub(super) unsteady: bool,
    took: Duration,
    pub(super) passed: usize,
    failed: usize,
    pub(super) ignored: usize,
    pub(super) output: String,
}

impl Outcome {
    /// Reads it from what the program printed.
    ///
    /// # Errors
    /// If that can't be read.
    pub(super) fn of(ended: &Ended) -> Result<Self> {
        let Ended { job, output, took, how } = ended;
        let output = read(output)?;
        let (mut passed, mut failed, mut ignored) = (0, 0, 0);
        // Doc tests print one for each library.
        for line in output.lines().filter(|line| line.starts_with("test result: ")) {
            passed += count(line, " passed");
            failed += count(line, " failed");
            ignored += count(line, " ignored");
        }
        let hung = (*how == Ending::Killed).then(|| running(&output));
        let (name, ok, took) = (job.name.clone(), *how == Ending::Success, *took);
        Ok(Self { name, ok, hung, unsteady: false, took, passed, failed, ignored, output })
    }

    /// Whether there is nothing to tell: no test of it was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.ok && self.passed + self.failed + self.ignored == 0
    }

    /// `ok       64.4 s  tests: status: 10 passed`.
    pub(super) fn line(&self) -> String {
        let word = match (self.ok, self.unsteady) {
            (true, _) => "ok",
            (false, true) => "UNSTEADY",
            (false, false) => "FAILED",
        };
        let mut counts = vec![format!("{} passed", self.passed)];
        if self.failed > 0 {
            counts.push(format!("{} failed", self.failed));
        }
        if self.ignored > 0 {
            counts.push(format!("{} ignored", self.ignored));
        }
        if let Some(tests) = &self.hung {
            counts = vec![format!("killed at its time limit; running: {}", tests.join(", "))];
        }
        format!("{word:<8} {:>5.1} s  {:<40} {}", self.took.as_secs_f64(), self.name, counts.join(", "))
    }

    /// What the program printed about its failures. All of it if it ended before it could say anything about them.
    pub(super) fn failures(&self) -> &str {
        let begins = self.output.find("\nfailures:\n").and_then(|at| self.output.get(at + 1..));
        begins.unwrap_or(&self.output).trim_end()
    }
}

/// The tests that the harness has said to run for long, and has told no end of.
fn running(output: &str) -> Vec<String> {
    let tests = output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" has been running"));
    let is_over = |test: &str| output.contains(&format!("\ntest {test} ... "));
    tests.map(|(test, _)| test.to_owned()).filter(|test| !is_over(test)).collect()
}

/// The number before `what` in a line `test result: ok. 3 passed; 0 failed; ...`.
fn count(line: &str, what: &str) -> usize {
    let before = line.split_once(what).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::process::Cmd;
    use crate::testing::pool::Job;

    fn outcome(ok: bool, printed: &str) -> Outcome {
        ended(if ok { Ending::Success } else { Ending::Failure }, printed)
    }

    fn ended(how: Ending, printed: &str) -> Outcome {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), printed).unwrap();
        let took = Duration::from_millis(64_370);
        let job = Job { name: "tests: status".to_owned(), command: Cmd::new("status"), begins: 0 };
        Outcome::of(&Ended { job, output: file.path().to_owned(), took, how }).unwrap()
    }

    #[test]
    fn the_line_has_time_name_and_counts() {
        let printed =
            "test a ... ok\n\ntest result: ok. 10 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n";
        let line = outcome(true, printed).line();
        assert_eq!(line, format!("ok        64.4 s  {:<40} 10 passed, 1 ignored", "tests: status"));
    }

    #[test]
    fn the_failures_are_told_once_more_without_what_passed() {
        let printed = "test a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nwhy\n\nfailures:\n    b\n\n\
                       test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let outcome = outcome(false, printed);
        assert!(
            outcome.failures().starts_with("failures:\n\n---- b stdout ----\nwhy"),
            "{}",
            outcome.failures()
        );
        assert!(outcome.line().ends_with("1 passed, 1 failed"), "{}", outcome.line());
        assert!(!outcome.is_empty());
    }

    #[test]
    fn a_program_that_broke_down_is_told_whole() {
        let outcome = outcome(false, "test a ...\nsegmentation fault\n");
        assert_eq!(outcome.failures(), "test a ...\nsegmentation fault");
        assert!(!outcome.is_empty(), "however few results it printed");
    }

    #[test]
    fn the_tests_that_hung_are_named() {
        let printed = "test a ... ok\ntest b has been running for over 60 seconds\n\
                       test c has been running for over 60 seconds\ntest b ... ok\n";
        let line = ended(Ending::Killed, printed).line();
        assert!(
            line.starts_with("FAILED") && line.ends_with("killed at its time limit; running: c"),
            "{line}"
        );
    }

    #[test]
    fn several_results_are_added_up_and_none_is_nothing_to_tell() {
        let result =
            |n| format!("test result: ok. {n} passed; 0 failed; 0 ignored; 0 measured; 9 filtered out\n");
        assert_eq!(outcome(true, &(result(2) + &result(3))).passed, 5);
        assert!(outcome(true, &result(0)).is_empty());
    }
}
