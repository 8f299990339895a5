//! The counts in the repository.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::results::write;

/// How far a count may be from the baseline. Runs on one machine differed by a thousandth, and by less than one percent where
/// several threads take part; other processors have other instructions to copy with, which the C library chooses at its start.
pub(crate) const TOLERANCE_PERCENT: f64 = 5.0;

/// Instructions of each case.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// What counted: another processor has other instructions, and the C library and others choose by that.
    #[serde(default)]
    pub(crate) processor: String,
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Baseline {
    /// # Errors
    /// If the file can't be read, or has another form.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let reading =
            || format!("reading {}; `cargo xtask bench instructions --renew` writes it", path.display());
        let text = std::fs::read_to_string(path).with_context(reading)?;
        serde_json::from_str(&text).with_context(reading)
    }

    /// # Errors
    /// If the file can't be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing the baseline as JSON")? + "\n";
        write(path, &text)
    }

    /// What is too far away: a line each, with name, baseline, and what it is now.
    pub(crate) fn compared_with(&self, now: &Self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, count) in &now.instructions {
            let Some(before) = self.instructions.get(name) else {
                problems.push(format!("{name}: the baseline has no count of it, and now it is {count}"));
                continue;
            };
            let change = (*count as f64 / (*before).max(1) as f64 - 1.0) * 100.0;
            if change.abs() > TOLERANCE_PERCENT {
                // A gain, too: the next loss would hide in it.
                let word = if change > 0.0 { "more" } else { "less" };
                problems.push(format!(
                    "{name}: {before} instructions in the baseline, {count} now: {:.1} % {word}, and {TOLERANCE_PERCENT} % are allowed",
                    change.abs()
                ));
            }
        }
        for name in self.instructions.keys().filter(|name| !now.instructions.contains_key(*name)) {
            problems.push(format!("{name}: it is in the baseline, and nothing counts it any more"));
        }
        problems
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn baseline(counts: &[(&str, u64)]) -> Baseline {
        Baseline {
            processor: String::new(),
            instructions: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        }
    }

    #[test]
    fn a_few_percent_pass_and_more_is_named_with_both_counts() {
        let before = baseline(&[("call", 1000), ("read", 1000), ("gone", 7), ("gain", 1000)]);
        let now = baseline(&[("call", 1049), ("read", 1070), ("new", 5), ("gain", 900)]);
        let problems = before.compared_with(&now);
        assert_eq!(problems.len(), 4, "{problems:#?}");
        for wanted in [
            "read: 1000 instructions in the baseline, 1070 now: 7.0 % more",
            "gain: 1000 instructions in the baseline, 900 now: 10.0 % less",
            "new: the baseline has no count",
            "gone: it is in the baseline, and nothing counts it",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted}: {problems:#?}");
        }
        assert!(before.compared_with(&before).is_empty());
    }

    #[test]
    fn the_baseline_in_the_repository_has_every_case() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
        let baseline = Baseline::read(&path).unwrap();
        let names: Vec<_> = crate::instructions::counted::CASES.iter().map(|case| case.name).collect();
        for name in &names {
            assert!(baseline.instructions.get(*name).is_some_and(|count| *count > 0), "{name}");
        }
        assert_eq!(baseline.instructions.len(), names.len());
    }
}
