//! The directory of blobs: the contents of domain data, one file each.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct BlobDirectory {
    path: PathBuf,
}

impl BlobDirectory {
    /// Opens the directory; it is created if it does not exist.
    pub(crate) async fn open(path: PathBuf) -> io::Result<Self> {
        tokio::fs::create_dir_all(&path).await?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_of(&self, blob: Uuid) -> PathBuf {
        self.path.join(blob.to_string())
    }

    /// Creates a file to write a new blob to.
    pub(crate) async fn stage(&self) -> io::Result<(StagedBlob, File)> {
        let blob = Uuid::new_v4();
        let staged = self.staged(blob);
        let file = File::create_new(staged.path()).await?;
        Ok((staged, file))
    }

    /// A blob that is to be removed, unless it is kept after all.
    pub(crate) fn staged(&self, blob: Uuid) -> StagedBlob {
        StagedBlob { blob, path: self.path_of(blob), keep: false }
    }

    /// Removes all files but these blobs: what interrupted uploads have left behind.
    pub(crate) async fn sweep(&self, known: &[Uuid]) -> io::Result<()> {
        let known: Vec<PathBuf> = known.iter().map(|blob| self.path_of(*blob)).collect();
        let mut files = tokio::fs::read_dir(&self.path).await?;
        while let Some(file) = files.next_entry().await? {
            if !known.contains(&file.path()) {
                tokio::fs::remove_file(file.path()).await?;
            }
        }
        Ok(())
    }
}

/// A blob that is not in the index. Its file is removed on drop, so that an upload that fails or is
/// interrupted at any point leaves nothing behind.
#[derive(Debug)]
pub(crate) struct StagedBlob {
    blob: Uuid,
    path: PathBuf,
    keep: bool,
}

impl StagedBlob {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the file, for the index to refer to.
    pub(crate) fn keep(mut self) -> Uuid {
        self.keep = true;
        self.blob
    }
}

impl Drop for StagedBlob {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody waits for the result, and a file that remains is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
