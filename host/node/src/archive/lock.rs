//! Locks by which processes that share a history know of each other. The system releases them when a process dies.

use std::fs::{File, OpenOptions, TryLockError, remove_file};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use posemesh_files::{open_regular, open_regular_with};

/// How often a lock that somebody else has is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// Held while a process opens the database: of two that find it damaged, only one moves it aside.
const OPENING: &str = "history.lock";
/// What the file of a process is called, around its token.
const PREFIX: &str = "run-";
const ENDING: &str = ".lock";
/// What is in the file of a process that ends by itself.
const ENDED: &[u8] = b"ended\n";
/// How many files of a folder are looked at.
const MAX_SWEPT: usize = 10_000;

/// A locked file.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Locked {
    /// Takes the lock under which a database of this folder is opened.
    ///
    /// # Errors
    /// When somebody else has it for so long, or the file can't be made.
    pub(super) fn opening(folder: &Path, patience: Duration) -> io::Result<Self> {
        let file = make(&folder.join(OPENING))?;
        let end = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                    let what = "another process has been opening it all the time";
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, what));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(AGAIN),
            }
        }
    }
}

/// Shows others that a process lives. The file is removed with this.
#[derive(Debug)]
pub(super) struct Alive {
    path: PathBuf,
    locked: Locked,
}

impl Alive {
    /// Takes the lock of the process with this token.
    ///
    /// # Errors
    /// When the file can't be made.
    pub(super) fn of(folder: &Path, token: &str) -> io::Result<Self> {
        let path = file_of(folder, token);
        let file = make(&path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("another process has the same token"),
        })?;
        Ok(Self { path, locked: Locked(file) })
    }

    /// Whether its file is still there: without it others take this process for dead.
    pub(super) fn is_seen(&self) -> bool {
        let (Ok(held), Ok(there)) = (self.locked.0.metadata(), self.path.metadata()) else { return false };
        (held.dev(), held.ino()) == (there.dev(), there.ino())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // What says that the process ended by itself is for the next one.
        if self.is_seen() && !is_noted(&self.path) {
            let _ = remove_file(&self.path);
        }
    }
}

/// Whether the process with this token lives.
pub(super) fn is_alive(folder: &Path, token: &str) -> bool {
    is_locked(&file_of(folder, token))
}

/// Removes what dead processes have left. The caller has the lock for opening, under which processes take their own.
pub(super) fn sweep(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_SWEPT);
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(ENDING) && !is_locked(&path) {
            let _ = remove_file(&path);
        }
    }
}

fn is_locked(path: &Path) -> bool {
    // Shared, so that several who ask at once do not take each other for the process.
    let asked = open_regular(path).map(|file| file.try_lock_shared());
    matches!(asked, Ok(Err(TryLockError::WouldBlock)))
}

fn file_of(folder: &Path, token: &str) -> PathBuf {
    // A token comes from the database, which somebody may have made up.
    let plain: String = token.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    folder.join(format!("{PREFIX}{plain}{ENDING}"))
}

/// Notes that the process with this token ends by itself, for when the database can't be told in time. Blocks.
///
/// # Errors
/// What the file system says.
pub(super) fn note_end(folder: &Path, token: &str) -> io::Result<()> {
    make(&file_of(folder, token))?.write_all(ENDED)
}

/// Whether the process with this token has noted that it ends by itself.
pub(super) fn has_noted_end(folder: &Path, token: &str) -> bool {
    is_noted(&file_of(folder, token))
}

fn is_noted(path: &Path) -> bool {
    let Ok(file) = open_regular(path) else { return false };
    let mut noted = Vec::new();
    file.take(ENDED.len() as u64 + 1).read_to_end(&mut noted).is_ok() && noted == ENDED
}

fn make(path: &Path) -> io::Result<File> {
    let made = open_regular_with(path, OpenOptions::new().read(true).write(true).create(true).mode(0o600));
    // The error of a file that is none does not say which.
    made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
