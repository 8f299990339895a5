//! The file that keeps what a task's runner printed, until the task is forgotten.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posemesh_runner_api::beside::begin;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::instance::trouble::RunTrouble;

/// Bytes that may wait for the disk. What comes faster than it takes them is lost, and counted.
const MOST_WAITING: usize = 1 << 20;

/// How long the end of a task waits for its lines.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// A log file, made with its first line: most runners print nothing. What is written is bounded by who writes. Nobody waits for
/// the disk but who asks for that. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct LogFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    waiting: Mutex<Waiting>,
    /// Nothing waits any more.
    written: Notify,
    /// What only the thread that writes uses.
    writing: Mutex<Writing>,
    trouble: RunTrouble,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    lost: u64,
    /// A thread writes them.
    under_way: bool,
}

#[derive(Debug, Default)]
struct Writing {
    file: Option<File>,
    failed: bool,
}

impl LogFile {
    /// A file that is made, readable by this user alone, when there is something to write; `trouble` learns of it when it
    /// can't be made or written.
    pub(crate) fn new(path: PathBuf, trouble: RunTrouble) -> Self {
        let (waiting, written, writing) = Default::default();
        Self(Arc::new(Shared { path, waiting, written, writing, trouble }))
    }

    /// Appends `TIME STREAM LINE`. If that fails, once, the node's log says so and the file ends there.
    pub(crate) fn write(&self, stream: &str, line: &str) {
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let mut waiting = self.0.waiting();
        if waiting.lines.len() > MOST_WAITING {
            waiting.lost += 1;
            return;
        }
        waiting.lines.extend([time.as_str(), " ", stream, " ", line, "\n"]);
        if !std::mem::replace(&mut waiting.under_way, true) {
            drop(waiting);
            let shared = self.0.clone();
            drop(begin(move || shared.write_all()));
        }
    }

    /// Waits until all lines are in the file, or until that takes too long: a disk that hangs holds up no task's end.
    pub(crate) async fn written(&self) {
        let written = async {
            loop {
                let written = self.0.written.notified();
                if !self.0.waiting().under_way {
                    return;
                }
                written.await;
            }
        };
        if timeout(WRITTEN_WITHIN, written).await.is_err() {
            let what = format!("the log file of a task was not written within {WRITTEN_WITHIN:?}");
            self.0.trouble.saw_host(what);
        }
    }
}

impl Shared {
    fn write_all(&self) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut waiting = self.waiting();
            let (mut lines, lost) = (std::mem::take(&mut waiting.lines), std::mem::take(&mut waiting.lost));
            if lines.is_empty() {
                waiting.under_way = false;
                drop(waiting);
                return self.written.notify_waiters();
            }
            drop(waiting);
            if lost > 0 {
                lines.extend(["dropped ", &lost.to_string(), " lines: the disk took them too slowly\n"]);
            }
            if !writing.failed
                && let Err(error) = writing.append(&self.path, &lines)
            {
                writing.failed = true;
                self.trouble.saw("writing the log file of a task", &error);
                tracing::warn!(%error, "a task's log file can't be written; it ends here");
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    fn append(&mut self, path: &PathBuf, lines: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            // Never an existing file: its lines would be mixed with those of another run.
            file => file.insert(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?),
        };
        file.write_all(lines.as_bytes())
    }
}
