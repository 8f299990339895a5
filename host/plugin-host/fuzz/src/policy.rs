//! A file `NAME.toml`: whatever lies beside a component, and by whomever it was written.

use std::sync::OnceLock;

use posemesh_plugin_host::manifest::{Policy, PolicyError};
use tempfile::TempDir;

use super::shown::is_showable;

/// The longest text of a mistake, the path included.
const MAX_MISTAKE: usize = 4 << 10;
/// The largest file that is read.
const MAX_FILE: usize = 64 << 10;
/// What no runner may be granted.
const SECRETS: [&str; 4] =
    ["ADMIN_TOKEN", "REG_SECRET", "SECP256K1_PRIVHEX", "ROBOT_REGISTRATION_CREDENTIALS"];

/// Reads the file, and panics where something does not hold.
pub fn holds(input: &[u8]) {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| tempfile::tempdir().expect("a temporary folder"));
    // Of this thread's own: tests of the same program run beside each other.
    let path = dir.path().join(format!("stranger-{:?}.toml", std::thread::current().id()));
    std::fs::write(&path, input).expect("a file can be written");
    let read = Policy::read(&path);
    match &read {
        Ok(policy) => is_sound(policy, input),
        // What is not text is not read at all.
        Err(PolicyError::Read { error, .. }) => {
            assert!(std::str::from_utf8(input).is_err(), "a text file is read, or has a mistake: {error}");
        }
        Err(error) => is_showable(&error.to_string(), MAX_MISTAKE),
    }
    // The same file means the same tomorrow.
    match (read, Policy::read(&path)) {
        (Ok(once), Ok(again)) => assert_eq!(once, again),
        (once, again) => assert_eq!(once.err().map(|e| e.to_string()), again.err().map(|e| e.to_string())),
    }
}

fn is_sound(policy: &Policy, input: &[u8]) {
    assert!(input.len() <= MAX_FILE, "a file of {} bytes was read", input.len());
    for name in &policy.environment {
        let stem = name.strip_suffix("_FILE").unwrap_or(name);
        assert!(!SECRETS.contains(&stem), "{name} was granted");
    }
    for (name, folder) in &policy.directories {
        assert!(folder.is_absolute() && folder.is_dir(), "{name} is granted as {}", folder.display());
    }
    if let Some(canary) = &policy.canary {
        assert!(canary.share > 0.0 && canary.share <= 1.0, "a share of {}", canary.share);
    }
}
