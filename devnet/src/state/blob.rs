//! The directory of blobs: the contents of domain data, one file each.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use uuid::Uuid;

/// How much of a blob is read or written at once, in bytes: what the network brings in smaller pieces is gathered, since
/// each call takes a thread.
const CHUNK: usize = 256 << 10;
/// How many pieces are gathered at most.
const MAX_PIECES: usize = 64;

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
    pub(crate) async fn stage(&self) -> io::Result<(StagedBlob, BlobWriter)> {
        let blob = Uuid::new_v4();
        let staged = self.staged(blob);
        let path = staged.path().to_owned();
        let file = spawn_blocking(move || File::create_new(path)).await??;
        Ok((staged, BlobWriter::new(file, 0)))
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

/// Writes a blob from some place on. The last chunk is written while the next one comes.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: Arc<File>,
    /// Where the next chunk goes.
    at: u64,
    gathered: Vec<Bytes>,
    size: usize,
    under_way: Option<JoinHandle<io::Result<()>>>,
}

impl BlobWriter {
    fn new(file: File, at: u64) -> Self {
        Self { file: Arc::new(file), at, gathered: Vec::new(), size: 0, under_way: None }
    }

    /// Opens a file that is there, to be written from `at` on.
    pub(crate) async fn open(path: &Path, at: u64) -> io::Result<Self> {
        let path = path.to_owned();
        let file = spawn_blocking(move || File::options().write(true).open(path)).await??;
        Ok(Self::new(file, at))
    }

    /// Appends bytes. What becomes of them is said by a later call.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.size += bytes.len();
        self.gathered.push(bytes);
        // Each piece may keep a buffer of the network's.
        if self.size < CHUNK && self.gathered.len() < MAX_PIECES {
            return Ok(());
        }
        self.begin_chunk().await
    }

    /// Waits until everything is written.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.begin_chunk().await?;
        self.settle().await
    }

    async fn begin_chunk(&mut self) -> io::Result<()> {
        self.settle().await?;
        let (file, mut at, chunk) = (self.file.clone(), self.at, std::mem::take(&mut self.gathered));
        self.at += std::mem::take(&mut self.size) as u64;
        self.under_way = Some(spawn_blocking(move || {
            for bytes in chunk {
                file.write_all_at(&bytes, at)?;
                at += bytes.len() as u64;
            }
            Ok(())
        }));
        Ok(())
    }

    async fn settle(&mut self) -> io::Result<()> {
        match self.under_way.take() {
            Some(writing) => writing.await?,
            None => Ok(()),
        }
    }
}

/// Reads a blob from its beginning. The next chunk is read while the last one is sent.
#[derive(Debug)]
pub(crate) struct BlobReader {
    file: Arc<File>,
    /// Bytes that nobody has asked for yet.
    left: u64,
    under_way: Option<JoinHandle<io::Result<Bytes>>>,
}

impl BlobReader {
    /// Opens a file that has `size` bytes.
    pub(crate) async fn open(path: PathBuf, size: u64) -> io::Result<Self> {
        let file = spawn_blocking(move || File::open(path)).await??;
        Ok(Self { file: Arc::new(file), left: size, under_way: None })
    }

    /// The next bytes; none at the end. A shorter file is an error.
    pub(crate) async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = match self.under_way.take().or_else(|| self.begin_chunk()) {
            Some(reading) => reading.await??,
            None => return Ok(None),
        };
        self.under_way = self.begin_chunk();
        Ok(Some(chunk))
    }

    fn begin_chunk(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let size = self.left.min(CHUNK as u64);
        self.left -= size;
        let file = self.file.clone();
        (size > 0).then(|| {
            spawn_blocking(move || {
                let mut bytes = Vec::with_capacity(CHUNK.min(usize::try_from(size).unwrap_or(CHUNK)));
                // One after the other, so that the file's own position is the right one.
                if (&*file).take(size).read_to_end(&mut bytes)? as u64 != size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(bytes.into())
            })
        })
    }
}
