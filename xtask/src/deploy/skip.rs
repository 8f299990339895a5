//! What this machine has no tool for.

/// Says what is not checked, and for want of what.
pub(super) fn skipped(what: &str, missing: &str) {
    eprintln!("SKIPPED: {what}: there is no {missing} on this machine");
}
