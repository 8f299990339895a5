//! The audit log: what was done to the node and what it decided about runners, apart from the log and from what runners
//! print (docs/audit.md). One JSON object a line, only ever appended.
//!
//! Nobody waits for it: lines go through a bounded queue of its own to a thread that writes them. What is lost is
//! counted, and told in the file when it can be written again.

mod file;
mod limiter;
mod line;
mod queue;
#[cfg(feature = "plugins")]
mod registry;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use file::AuditFile;
use limiter::Limiter;
use line::line;
use queue::AuditQueue;

pub(crate) use file::AuditError;

/// Where the node records what happens to it. Cheap to clone; one that is off does nothing.
#[derive(Clone, Default)]
pub(crate) struct AuditLog(Option<Arc<Inner>>);

struct Inner {
    queue: AuditQueue,
    /// Counts the lines of this process, so that a gap is seen.
    lines: AtomicU64,
    /// Of calls without the token, which anybody who reaches the address can make.
    refused_calls: Limiter,
}

impl AuditLog {
    /// Opens the file, and starts the thread that writes to it; one that is off if there is no path.
    ///
    /// # Errors
    /// When the file can't be opened to be appended to.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, AuditError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let queue = AuditQueue::start(AuditFile::open(path)?)?;
        let inner = Inner { queue, lines: AtomicU64::new(0), refused_calls: Limiter::default() };
        Ok(Self(Some(Arc::new(inner))))
    }

    /// Records an event. Texts of others must be bounded by whoever calls.
    pub(crate) fn record<const N: usize>(&self, event: &'static str, fields: [(&'static str, Value); N]) {
        let Some(inner) = &self.0 else { return };
        let number = inner.lines.fetch_add(1, Ordering::Relaxed);
        inner.queue.put(line(event, number, fields.into_iter().collect()));
    }

    /// Records a call that was not allowed, unless there are too many of them: how many were left out is told with the
    /// next one.
    pub(crate) fn record_refused_call<const N: usize>(&self, fields: [(&'static str, Value); N]) {
        let Some(inner) = &self.0 else { return };
        let Some(left_out) = inner.refused_calls.pass() else { return };
        let mut fields: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if left_out > 0 {
            fields.insert("left_out".to_owned(), left_out.into());
        }
        let number = inner.lines.fetch_add(1, Ordering::Relaxed);
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        inner.queue.put(line("admin_call", number, fields));
    }

    /// Lines that are lost: the queue was full, or they could not be written.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.0.as_ref().map(|inner| inner.queue.lost_lines()).unwrap_or_default()
    }

    /// Waits until what was recorded is written, for a moment at most.
    pub(crate) async fn flush(&self) {
        if let Some(inner) = &self.0 {
            inner.queue.flush().await;
        }
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "AuditLog(on)" } else { "AuditLog(off)" })
    }
}

#[cfg(test)]
mod tests;
