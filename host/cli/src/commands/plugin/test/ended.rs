//! How one case ended.

use std::time::Duration;

/// What came of one case.
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) took: Duration,
    /// What was not as expected; a case without any has passed.
    pub(super) differences: Vec<String>,
    /// What was written to `expected/` and removed from it.
    pub(super) updated: Vec<String>,
}
