//! The file that keeps what a task's runner printed, until the task is forgotten.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use posemesh_runner_api::beside::waiting;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::instance::trouble::RunTrouble;

/// A log file, made with its first line: most runners print nothing. What is written is bounded by who writes.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    failed: bool,
    trouble: RunTrouble,
}

impl LogFile {
    /// A file that is made, readable by this user alone, when there is something to write; `trouble` learns of it when it
    /// can't be made or written.
    pub(crate) fn new(path: PathBuf, trouble: RunTrouble) -> Self {
        Self { path, file: None, failed: false, trouble }
    }

    /// Appends `TIME STREAM LINE`. It must not hold up the runner for more than a write to the page
    /// cache; if that fails, once, the node's log says so and the file ends there.
    pub(crate) fn write(&mut self, stream: &str, line: &str) {
        if self.failed {
            return;
        }
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = format!("{time} {stream} {line}\n");
        let written = waiting(|| self.file().and_then(|file| (&*file).write_all(line.as_bytes())));
        if let Err(error) = written {
            self.failed = true;
            self.trouble.saw("writing the log file of a task", &error);
            tracing::warn!(%error, "a task's log file can't be written; it ends here");
        }
    }

    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            // Never an existing file: its lines would be mixed with those of another run.
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
            self.file = Some(made);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
