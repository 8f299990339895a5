//! The file in which a pause of the node's own outlives its process: `pause-….json` in WORK_DIR, one for each identity and job
//! server.

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_files::{open_private, write_private};
use posemesh_text::one_line;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::worker::PauseNote;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 10;
/// How long a file system may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of an error is logged, in bytes.
const SHOWN_BYTES: usize = 300;

/// Where it lies.
pub(super) struct PauseFile(PathBuf);

impl PauseFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The pause of an earlier process. A file that is broken, or that somebody else can have written, is as good as none.
    pub(super) async fn read(&self) -> Option<PauseNote> {
        let path = self.0.clone();
        match timeout(FILE_TIMEOUT, spawn_blocking(move || read(&path))).await {
            Ok(Ok(Ok(note))) => note,
            Ok(Ok(Err(error))) => {
                let error = one_line(&error, SHOWN_BYTES);
                tracing::warn!(error, "whether the node before this one paused can't be read (WORK_DIR)");
                None
            }
            _ => None,
        }
    }

    /// Keeps the file in step with the pause, until `stop` or the end of the worker.
    pub(super) async fn follow(&self, mut note: watch::Receiver<Option<PauseNote>>, stop: CancellationToken) {
        let mut failed = false;
        loop {
            let goes_on = tokio::select! {
                () = stop.cancelled() => false,
                changed = note.changed() => changed.is_ok(),
            };
            // What changed last is written in any case.
            if goes_on || note.has_changed().unwrap_or(false) {
                let now = note.borrow_and_update().clone();
                let written = self.write(now).await;
                if let Err(error) = &written
                    && !failed
                {
                    let error = one_line(error, SHOWN_BYTES);
                    tracing::warn!(
                        error,
                        "the pause can't be noted in WORK_DIR: after a restart it would be over"
                    );
                }
                failed = written.is_err();
            }
            if !goes_on {
                return;
            }
        }
    }

    async fn write(&self, note: Option<PauseNote>) -> io::Result<()> {
        let path = self.0.clone();
        let written = timeout(FILE_TIMEOUT, spawn_blocking(move || write(&path, note.as_ref()))).await;
        written.map_err(|_| io::Error::from(ErrorKind::TimedOut))?.map_err(io::Error::other)?
    }
}

fn read(path: &Path) -> io::Result<Option<PauseNote>> {
    let file = match open_private(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

fn write(path: &Path, note: Option<&PauseNote>) -> io::Result<()> {
    match note {
        Some(note) => write_private(path, &serde_json::to_vec(note)?),
        None => match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}
