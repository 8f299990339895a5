//! The operator's word on one runner: `NAME.toml` beside `NAME.wasm`. Absent, the defaults hold.
//!
//! ```toml
//! enabled = true
//! environment = ["NOOP_SLEEP_SECS"]   # variables of the node that the runner may see
//!
//! [limits]                            # the most that it gets, whatever it asks for
//! memory_bytes = 268435456
//! deadline_ms = 60000
//! ```

use std::path::Path;

use serde::Deserialize;

use super::description::Description;
use super::limits::{Limits, Reduced};
use super::load_error::LoadError;

/// What the operator allows a runner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether it is used at all.
    pub enabled: bool,
    /// Names of the node's environment variables that it may see.
    pub environment: Vec<String>,
    /// The most that it gets.
    #[serde(deserialize_with = "over_node_maximum")]
    pub limits: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Self { enabled: true, environment: Vec::new(), limits: Limits::node_maximum() }
    }
}

/// Limits that are not named keep the node's maximum.
fn over_node_maximum<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    use serde::de::Error as _;
    let given = toml::Table::deserialize(deserializer)?;
    let mut all = toml::Table::try_from(Limits::node_maximum()).map_err(D::Error::custom)?;
    all.extend(given);
    all.try_into().map_err(D::Error::custom)
}

impl Policy {
    /// Reads `NAME.toml`; a missing file is the default.
    ///
    /// # Errors
    /// When it can't be read or is not what it should be; the text names line and field.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let wrong = |what: String| LoadError::Policy { path: path.to_owned(), what };
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(LoadError::Read { path: path.to_owned(), error }),
        }
    }

    /// What a runner gets of what it asked for.
    pub fn grant(&self, asked: &Description) -> Grant {
        let (limits, reduced) = Limits::grant(&asked.limits, &self.limits);
        let (environment, refused): (Vec<_>, Vec<_>) =
            asked.environment.iter().cloned().partition(|name| self.environment.contains(name));
        let mut not_granted: Vec<String> =
            refused.into_iter().map(|name| format!("environment variable {name}")).collect();
        not_granted.extend(asked.network_hosts.iter().map(|host| format!("network host {host}")));
        not_granted.extend(asked.directories.iter().map(|name| format!("directory {name}")));
        not_granted.extend(
            reduced
                .iter()
                .map(|Reduced { limit, asked, granted }| format!("{limit} of {asked} ({granted} instead)")),
        );
        Grant { limits, environment, not_granted }
    }
}

/// What counts for a runner: the intersection of asked and allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its limits.
    pub limits: Limits,
    /// The environment variables that it sees.
    pub environment: Vec<String>,
    /// What it asked for and did not get, in words.
    pub not_granted: Vec<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_not_named_keep_the_nodes_maximum() {
        let policy: Policy = toml::from_str("[limits]\ndeadline_ms = 5").unwrap();
        assert_eq!(policy.limits, Limits { deadline_ms: 5, ..Limits::node_maximum() });
        assert!(policy.enabled);
    }

    #[test]
    fn unknown_fields_are_named() {
        for (text, field) in [("enabld = true", "enabld"), ("[limits]\nmemory = 5", "memory")] {
            let error = toml::from_str::<Policy>(text).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
