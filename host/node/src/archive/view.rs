//! Where the history stands, for people who look.

use serde::Serialize;

/// Where the history stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct HistoryView {
    /// The database; none if no history is kept (`DATA_DIR=off`).
    pub(crate) path: Option<String>,
    /// Why it can't be written to, if it can't.
    pub(crate) error: Option<String>,
    /// Entries that are lost since the start.
    pub(crate) lost: u64,
    /// Entries that wait for it to be written to again.
    pub(crate) waiting: u64,
    /// Where a database that could not be read was moved to since the start, and why.
    pub(crate) moved_aside: Option<String>,
    /// The other living processes that write to it as well, in words.
    pub(crate) shared_with: Vec<String>,
}

impl HistoryView {
    /// What an operator should know, in words.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let path = self.path.as_deref().unwrap_or_default();
        let failing = self.error.as_ref().map(|error| {
            format!(
                "the history in {path} can't be written ({error}); the node goes on without it: {} entries wait, {} are lost",
                self.waiting, self.lost
            )
        });
        failing.into_iter().chain(self.moved_aside.clone()).collect()
    }
}
