//! A file in WORK_DIR in which a pause outlives its process: `pause-….json` for one of the node's own, `paused-….json` for an
//! operator's; one of each for an identity and a job server.

use std::io::{self, ErrorKind, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posemesh_files::{open_private, write_private};
use posemesh_text::one_line;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 10;
/// How long a file system may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of an error is logged, in bytes.
const SHOWN_BYTES: usize = 300;

/// Where a note lies.
pub(super) struct NoteFile<T> {
    path: PathBuf,
    /// Held by who changes the file: nobody waits for a slow file system for ever, but what it does comes in order.
    changing: Arc<Mutex<()>>,
    note: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> NoteFile<T> {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, changing: Arc::default(), note: PhantomData }
    }

    /// The note of an earlier process. A file that is broken, or that somebody else can have written, is as good as none.
    pub(super) async fn read(&self) -> Option<T> {
        let path = self.path.clone();
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

    /// Keeps the file in step with the note, until `stop` or the end of whoever changes it.
    pub(super) async fn follow(&self, mut note: watch::Receiver<Option<T>>, stop: CancellationToken) {
        let mut failed = false;
        loop {
            let goes_on = tokio::select! {
                () = stop.cancelled() => false,
                changed = note.changed() => changed.is_ok(),
            };
            // What changed last is written in any case.
            if goes_on || note.has_changed().unwrap_or(false) {
                let now = note.borrow_and_update().clone();
                let written = match now {
                    Some(note) => self.write(note).await,
                    None => self.remove(|_| true).await,
                };
                if let Err(error) = &written
                    && !failed
                {
                    warn_of_unwritten(error);
                }
                failed = written.is_err();
            }
            if !goes_on {
                return;
            }
        }
    }

    /// Writes the note.
    pub(super) async fn write(&self, note: T) -> io::Result<()> {
        self.change(move |path| write_private(path, &serde_json::to_vec(&note)?)).await
    }

    /// Removes the note that is there if it is one of these.
    pub(super) async fn remove(&self, is_to_go: impl FnOnce(&T) -> bool + Send + 'static) -> io::Result<()> {
        let remove = move |path: &Path| match read(path) {
            Ok(Some(note)) if !is_to_go(&note) => Ok(()),
            Ok(None) => Ok(()),
            // What can't be read says nothing to anybody.
            Ok(Some(_)) | Err(_) => match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        self.change(remove).await
    }

    async fn change(&self, change: impl FnOnce(&Path) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let (path, changing) = (self.path.clone(), self.changing.clone());
        let changed = spawn_blocking(move || {
            let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
            change(&path)
        });
        let changed = timeout(FILE_TIMEOUT, changed).await;
        changed.map_err(|_| io::Error::from(ErrorKind::TimedOut))?.map_err(io::Error::other)?
    }
}

/// Says that a pause, or its end, is not known beyond the process.
pub(super) fn warn_of_unwritten(error: &io::Error) {
    let error = one_line(error, SHOWN_BYTES);
    tracing::warn!(
        error,
        "the pause, or its end, can't be noted in WORK_DIR: a restart would not know of it"
    );
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match open_private(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}
