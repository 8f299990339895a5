//! The file that keeps what a task's runner printed, until the task is forgotten.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::instance::trouble::RunTrouble;

/// An open log file. What is written is bounded by who writes.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    failed: bool,
    trouble: RunTrouble,
}

impl LogFile {
    /// Makes the file, readable by this user alone; `trouble` learns of it when it can't be written.
    ///
    /// # Errors
    /// When it is there already or can't be made.
    pub(crate) fn create(path: &Path, trouble: RunTrouble) -> io::Result<Self> {
        // Never an existing file: its lines would be mixed with those of another run.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, failed: false, trouble })
    }

    /// Appends `TIME STREAM LINE`. It must not hold up the runner for more than a write to the page
    /// cache; if that fails, once, the node's log says so and the file ends there.
    pub(crate) fn write(&mut self, stream: &str, line: &str) {
        if self.failed {
            return;
        }
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        if let Err(error) = self.file.write_all(format!("{time} {stream} {line}\n").as_bytes()) {
            self.failed = true;
            self.trouble.saw("writing the log file of a task", &error);
            tracing::warn!(%error, "a task's log file can't be written; it ends here");
        }
    }
}
