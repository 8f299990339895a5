//! The history: what is kept of tasks and generations beyond the process, in a database (SQLite) in `DATA_DIR`, bounded in
//! size and age.
//!
//! Nobody waits for it and nothing fails by it: entries go through a bounded queue to a thread, which writes what has come
//! meanwhile at once. What can't be written is kept for a while and then counted as lost. A lease is written when it begins
//! and again when it has ended, so that the next process finds those that a killed one has left open: they are `unknown`.

mod database;
mod entry;
mod lock;
mod observer;
mod query;
mod runs;
mod schema;
mod settings;
mod view;
mod writer;

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use entry::{Entry, TaskEntry};
use writer::Writer;

use crate::records::LeaseEvent;

pub use query::{ArchiveError, Archived, Asked, GenerationRow, TaskRow};
pub(crate) use settings::ArchiveSettings;
pub use settings::database_in;
pub(crate) use view::HistoryView;

/// Keeps entries. Cheap to clone; one that is off does nothing.
#[derive(Clone, Default)]
pub(crate) struct Archive(Option<Arc<Writer>>);

impl Archive {
    /// Starts the thread that writes. `node` says whose entries they are: several nodes may share the database.
    ///
    /// A database that can't be opened is tried again; the log says so. Without a thread nothing is kept.
    pub(crate) fn start(settings: ArchiveSettings, node: String) -> Self {
        if settings.folder.is_none() {
            return Self::default();
        }
        match Writer::start(settings, node) {
            Ok(writer) => Self(Some(Arc::new(writer))),
            Err(error) => {
                tracing::warn!(%error, "no history is kept: the thread that writes it could not be started");
                Self::default()
            }
        }
    }

    /// Keeps that a lease has begun, or what a task that has ended was like.
    pub(crate) fn lease(&self, event: LeaseEvent) {
        self.put(|| Entry::Task(Box::new(TaskEntry::from(event))));
    }

    /// Keeps that a dead process held a lease on this task, unless the history knows how that ended.
    pub(crate) fn orphan(&self, task: Uuid) {
        self.put(|| Entry::Orphan(task));
    }

    fn put(&self, entry: impl FnOnce() -> Entry) {
        if let Some(writer) = &self.0 {
            writer.put(entry());
        }
    }

    /// Where it stands.
    pub(crate) fn view(&self) -> HistoryView {
        self.0.as_ref().map(|writer| writer.view()).unwrap_or_default()
    }

    /// Keeps that the node has ended, and waits until everything is written, for a moment at most.
    pub(crate) async fn end(&self) {
        if let Some(writer) = &self.0 {
            writer.end().await;
        }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Archive(on)" } else { "Archive(off)" })
    }
}

#[cfg(test)]
mod tests;
