//! The noop runner (protocol 8): for trying a node out, so it is live only when the operator says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The capability that it serves.
const CAPABILITY: &str = "/posemesh/noop/v1";
/// The variable by which it learns how long to sleep.
const SLEEP_VARIABLE: &str = "NOOP_SLEEP_SECS";

/// The file that is built of it.
const FILE: &str = "noop.wasm";

/// Whether the noop runner may be live, and how long it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoopSettings {
    /// Whether the no-op runner may go live (`ENABLE_NOOP`).
    pub(crate) enabled: bool,
    /// How long it sleeps when its task does not say.
    pub(crate) sleep: Duration,
}

impl Default for NoopSettings {
    fn default() -> Self {
        Self { enabled: false, sleep: Duration::from_secs(5) }
    }
}

impl NoopSettings {
    /// The capabilities that no runner may serve.
    pub(crate) fn withheld(&self) -> BTreeSet<String> {
        if self.enabled { BTreeSet::new() } else { BTreeSet::from([CAPABILITY.to_owned()]) }
    }

    /// The environment variables that every runner may see.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(SLEEP_VARIABLE.to_owned(), self.sleep.as_secs().to_string())])
    }
}

/// Tells when the noop runner is asked for and is not there: `ENABLE_NOOP` lets it go live, and does not bring it.
#[derive(Debug, Clone)]
pub(crate) struct NoopCheck {
    enabled: bool,
    plugins_dir: PathBuf,
}

impl NoopCheck {
    pub(crate) fn new(settings: NoopSettings, plugins_dir: &Path) -> Self {
        Self { enabled: settings.enabled, plugins_dir: plugins_dir.to_owned() }
    }

    /// What is missing and what helps, unless the noop runner is among these capabilities or is not wanted.
    pub(crate) fn missing(&self, live: &BTreeSet<String>) -> Option<String> {
        (self.enabled && !live.contains(CAPABILITY)).then(|| self.cure())
    }

    /// The same before anything was loaded, by whether the file is there.
    pub(crate) fn missing_file(&self) -> Option<String> {
        (self.enabled && !self.plugins_dir.join(FILE).is_file()).then(|| self.cure())
    }

    fn cure(&self) -> String {
        format!(
            "ENABLE_NOOP=true, but no runner serves {CAPABILITY}: put {FILE} (`cargo xtask plugins` builds it as \
             target/plugins/{FILE}) into PLUGINS_DIR={}, or unset ENABLE_NOOP",
            self.plugins_dir.display()
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_noop_runner_that_is_enabled_and_not_there_is_told_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let on = NoopSettings { enabled: true, ..NoopSettings::default() };
        let check = NoopCheck::new(on, dir.path());
        let text = check.missing(&BTreeSet::new()).unwrap();
        assert!(text.contains("noop.wasm") && text.contains(dir.path().to_str().unwrap()), "{text}");
        assert_eq!(check.missing_file(), Some(text));
        assert_eq!(check.missing(&BTreeSet::from([CAPABILITY.to_owned()])), None);
        std::fs::write(dir.path().join(FILE), "").unwrap();
        assert_eq!(check.missing_file(), None);
        let off = NoopCheck::new(NoopSettings::default(), Path::new("/nowhere"));
        assert_eq!((off.missing(&BTreeSet::new()), off.missing_file()), (None, None));
    }
}
