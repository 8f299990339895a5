//! Variables that are none of our settings, and whose names look as if they were meant to be one.

use std::collections::BTreeSet;

use super::Config;
use super::environment::{Environment, SettingSource};
use super::nearest::nearest;
use posemesh_text::one_line;

/// What all limits of runners begin with; nobody else has such names.
const LIMITS: &str = "RUNNER_MAX_";
/// A name that is this short has too many neighbours that are meant for other programs.
const SHORTEST: usize = 6;
/// Names the settings file, and looks like nothing else that is meant.
const NOT_A_SETTING: &str = "POSEMESH_CONFIG";
/// How much of a name is shown.
const SHOWN_BYTES: usize = 64;

/// A variable that has no effect, and the setting that was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisspeltVariable {
    /// The name as it is set, fit for a terminal.
    pub name: String,
    /// The setting with the most similar name.
    pub likely: &'static str,
    /// Where the variable comes from.
    pub source: SettingSource,
}

impl std::fmt::Display for MisspeltVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, likely, source } = self;
        write!(f, "{name} ({source}) is no setting and has no effect; is {likely} meant?")
    }
}

/// The variables of an environment that look like settings and are none.
///
/// ```
/// use posemesh_node_core::config::{Environment, misspelt};
///
/// let environment = Environment::from_iter([("MAX_CONCURENCY", "4"), ("LANG", "C")]);
/// let found = misspelt(&environment);
/// assert_eq!(found.iter().map(|variable| variable.likely).collect::<Vec<_>>(), ["MAX_CONCURRENCY"]);
/// ```
pub fn misspelt(environment: &Environment) -> Vec<MisspeltVariable> {
    let settings = Config::names();
    let known: BTreeSet<&str> = settings.iter().copied().collect();
    let mut found = Vec::new();
    for (name, source) in
        environment.names().filter(|(name, _)| !known.contains(name) && *name != NOT_A_SETTING)
    {
        if let Some(likely) = likely(name, &settings) {
            found.push(MisspeltVariable { name: one_line(name, SHOWN_BYTES), likely, source });
        }
    }
    found
}

/// The setting that a name was probably meant to be.
fn likely(name: &str, settings: &[&'static str]) -> Option<&'static str> {
    let candidates = settings.iter().filter(|setting| !setting.to_ascii_uppercase().ends_with("_PROXY"));
    let candidates: Vec<&'static str> = candidates.copied().collect();
    let (setting, distance) = nearest(name, &candidates)?;
    let allowed = match setting.len() {
        _ if name.to_ascii_uppercase().replace('-', "_").starts_with(LIMITS) => return Some(setting),
        length if length < SHORTEST => 0,
        length if length < 9 => 1,
        _ => 2,
    };
    (distance <= allowed).then_some(setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_looks_like_a_setting_is_told_with_the_likely_name() {
        for (name, likely) in [
            ("MAX_CONCURENCY", Some("MAX_CONCURRENCY")),
            ("MAX_CONCURRNECY", Some("MAX_CONCURRENCY")),
            ("MAXCONCURRENCY", Some("MAX_CONCURRENCY")),
            ("max_concurrency", Some("MAX_CONCURRENCY")),
            ("MAX-CONCURRENCY", Some("MAX_CONCURRENCY")),
            ("PLUGIN_DIR", Some("PLUGINS_DIR")),
            ("REG_SECRT", Some("REG_SECRET")),
            ("STATUS_ADDRESS", None),
            ("STATUS_ADR", Some("STATUS_ADDR")),
            ("RUNNER_MAX_MEMORY", Some("RUNNER_MAX_MEMORY_BYTES")),
            ("MAX_CONCURRENCY", None),
            ("PATH", None),
            ("LANG", None),
            ("RUST_BACKTRACE", None),
            ("FTP_PROXY", None),
            ("HOME", None),
        ] {
            let found = misspelt(&Environment::from_iter([(name, "hunter2")]));
            let found_likely = found.first().map(|variable| variable.likely);
            if name == "RUNNER_MAX_MEMORY" {
                assert!(
                    found_likely.is_some_and(|likely| likely.starts_with(LIMITS)),
                    "{name}: {found_likely:?}"
                );
                continue;
            }
            assert_eq!(found_likely, likely, "{name}");
            assert!(found.iter().all(|variable| !variable.to_string().contains("hunter2")));
        }
        let long = "MAX_CONCURRENCY".repeat(100_000);
        assert!(misspelt(&Environment::from_iter([(long, "1")])).is_empty());
    }
}
