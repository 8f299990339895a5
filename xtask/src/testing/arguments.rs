//! The arguments of `cargo test`: which of them are cargo's, and which the test programs'.

use std::ffi::{OsStr, OsString};

/// Options of `cargo test` whose value is the next argument.
const WITH_VALUE: [&str; 20] = [
    "--bench",
    "--bin",
    "--color",
    "--config",
    "--example",
    "--exclude",
    "--features",
    "--jobs",
    "--lockfile-path",
    "--manifest-path",
    "--message-format",
    "--package",
    "--profile",
    "--target",
    "--target-dir",
    "--test",
    "-F",
    "-Z",
    "-j",
    "-p",
];

/// Options that select targets: with one of them, cargo runs no doc tests.
const SELECTING: [&str; 11] = [
    "--all-targets",
    "--bench",
    "--benches",
    "--bin",
    "--bins",
    "--example",
    "--examples",
    "--lib",
    "--no-run",
    "--test",
    "--tests",
];

/// Arguments of `cargo test`, apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// For cargo, without the name of a test.
    pub(super) cargo: Vec<OsString>,
    /// For the test programs: the name of a test, and what stood after `--`.
    pub(super) programs: Vec<OsString>,
}

impl Arguments {
    pub(super) fn split(args: &[OsString]) -> Self {
        let mut split = Self::default();
        let mut args = args.iter();
        let mut names = Vec::new();
        while let Some(arg) = args.next() {
            if arg == "--" {
                break;
            }
            if !arg.to_string_lossy().starts_with('-') {
                names.push(arg.clone());
                continue;
            }
            split.cargo.push(arg.clone());
            if is_one_of(arg, &WITH_VALUE) {
                split.cargo.extend(args.next().cloned());
            }
        }
        split.programs = args.cloned().chain(names).collect();
        split
    }

    /// Whether nothing is to be run.
    pub(super) fn only_builds(&self) -> bool {
        self.cargo.iter().any(|arg| arg == "--no-run")
    }

    /// Whether doc tests are wanted, and nothing else.
    pub(super) fn doc_tests_alone(&self) -> bool {
        self.cargo.iter().any(|arg| arg == "--doc")
    }

    /// Whether doc tests are wanted.
    pub(super) fn has_doc_tests(&self) -> bool {
        // `--test=NAME` selects as `--test NAME` does.
        let selects = |arg: &OsString| {
            let text = arg.to_string_lossy();
            let name = text.split_once('=').map_or(&*text, |(name, _)| name);
            SELECTING.contains(&name)
        };
        self.doc_tests_alone() || !self.cargo.iter().any(selects)
    }
}

fn is_one_of(arg: &OsStr, options: &[&str]) -> bool {
    options.iter().any(|option| arg == *option)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn split(line: &str) -> Arguments {
        Arguments::split(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn texts(args: &[OsString]) -> Vec<&str> {
        args.iter().map(|arg| arg.to_str().unwrap()).collect()
    }

    #[test]
    fn the_name_of_a_test_goes_to_the_programs() {
        let args = split("--test conformance -p x s3_4 --release -- --nocapture --skip y");
        assert_eq!(texts(&args.cargo), ["--test", "conformance", "-p", "x", "--release"]);
        assert_eq!(texts(&args.programs), ["--nocapture", "--skip", "y", "s3_4"]);
    }

    #[test]
    fn doc_tests_are_left_out_when_targets_are_selected() {
        for (line, wanted) in [
            ("", true),
            ("s3_4", true),
            ("-p x", true),
            ("--doc", true),
            ("--lib", false),
            ("--test status", false),
            ("--test=status", false),
            ("--no-run", false),
        ] {
            assert_eq!(split(line).has_doc_tests(), wanted, "{line}");
        }
        assert!(split("--doc").doc_tests_alone() && !split("--lib").doc_tests_alone());
    }

    #[test]
    fn nothing_is_run_that_is_only_to_be_built() {
        assert!(split("--no-run").only_builds());
        assert!(!split("-- --no-run").only_builds(), "that is an argument of the programs");
    }
}
