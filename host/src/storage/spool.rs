//! Artifacts that wait in a file, because the server takes them in one request only and they are too
//! large to wait in memory.

use std::path::Path;

use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::error::StorageError;
use super::single::Source;

/// A file that only this process may read, and that is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    /// Removes the file; kept for that.
    on_disk: NamedTempFile,
    size: u64,
}

impl Spool {
    /// An empty one in this directory.
    pub async fn create(dir: &Path) -> Result<Self, StorageError> {
        let dir = dir.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            let on_disk = tempfile::Builder::new().prefix("artifact-").tempfile_in(dir)?;
            let file = on_disk.reopen()?;
            Ok::<_, std::io::Error>((on_disk, file))
        });
        let (on_disk, file) = made.await.map_err(failed)?.map_err(failed)?;
        Ok(Self { file: File::from_std(file), on_disk, size: 0 })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_all(bytes).await.map_err(failed)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// All that was written, for a request. The file lives as long as `self`.
    pub async fn source(&mut self) -> Result<Source, StorageError> {
        self.file.flush().await.map_err(failed)?;
        Ok(Source::File { path: self.on_disk.path().to_owned(), size: self.size })
    }
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Spool(error.to_string())
}
