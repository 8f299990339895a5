//! Compiled components on disk, so that a node with many runners starts fast.
//!
//! **Invariant:** nothing is loaded from a directory that another user could write to, and no byte that
//! does not match its checksum. A file that does not fit is removed and compiled again.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use posemesh_files::open_regular;
use wasmtime::Engine;

use crate::load::compiled::{CompiledComponent, MAX_COMPILED_BYTES};

/// What a file of ours begins with; the number changes with the layout.
const MAGIC: &[u8; 8] = b"pmnode01";
/// Magic and checksum.
const HEADER: usize = MAGIC.len() + 32;
/// The oldest files go when all together have more.
const MAX_CACHE_BYTES: u64 = 4 << 30;
/// Unfinished files that are older were left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
const EXTENSION: &str = "cwasm";
const UNFINISHED: &str = ".unfinished-";

/// Why the directory of compiled components is not used: it is not this user's alone, or can't be made.
#[derive(Debug, thiserror::Error)]
#[error("CACHE_DIR {dir}: {what}; compiled code that is run must lie where only this user can write")]
pub struct CacheError {
    dir: PathBuf,
    what: String,
}

/// A directory of compiled components.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    dir: PathBuf,
    /// Which wasmtime, settings and machine the code is for.
    compatibility: String,
}

impl Cache {
    /// Makes or checks the directory and removes what was left unfinished.
    ///
    /// # Errors
    /// When it can't be made, or belongs to somebody else.
    pub(crate) async fn open(dir: PathBuf, engine: &Engine) -> Result<Self, CacheError> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self { dir, compatibility: format!("{:016x}", hasher.finish()) };
        let dir = cache.dir.clone();
        let opened = tokio::task::spawn_blocking(move || make_private(&dir).map(|()| sweep(&dir))).await;
        let wrong = |what| CacheError { dir: cache.dir.clone(), what };
        opened.map_err(|error| wrong(error.to_string()))?.map_err(|error| wrong(error.to_string()))?;
        Ok(cache)
    }

    /// The compiled component of a digest, if it is there and whole.
    pub(crate) async fn get(&self, digest: &str) -> Option<CompiledComponent> {
        let path = self.path(digest);
        let read = move || {
            let reason = match read(&path) {
                Ok(compiled) => {
                    // So that the least used go first.
                    let now = fs::File::options().append(true).open(&path);
                    let _ = now.and_then(|file| file.set_modified(SystemTime::now()));
                    return Some(compiled);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Err(error) => error.to_string(),
            };
            tracing::warn!(path = %path.display(), reason, "compiled code can't be used and is compiled anew");
            let _ = fs::remove_file(&path);
            None
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// Keeps a compiled component; a reader sees all of it or nothing.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) async fn put(&self, digest: &str, compiled: &CompiledComponent) -> io::Result<()> {
        let (dir, path) = (self.dir.clone(), self.path(digest));
        let mut bytes = Vec::with_capacity(HEADER + compiled.bytes().len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&compiled.checksum());
        bytes.extend_from_slice(compiled.bytes());
        let write = move || {
            let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&dir)?;
            file.write_all(&bytes)?;
            // Before the rename, so that after a power cut the final name does not stand for a file without its
            // bytes.
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            prune(&dir, MAX_CACHE_BYTES);
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.{EXTENSION}", self.compatibility))
    }
}

/// Reads a file of the cache and compares its checksum with what was read.
fn read(path: &Path) -> io::Result<CompiledComponent> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut bytes = Vec::new();
    open_regular(path)?.take(MAX_COMPILED_BYTES + HEADER as u64).read_to_end(&mut bytes)?;
    if bytes.get(..MAGIC.len()) != Some(MAGIC.as_slice()) {
        return Err(broken("it is not of this node's making"));
    }
    let checksum: Vec<u8> = bytes.get(MAGIC.len()..HEADER).ok_or_else(|| broken("it is cut short"))?.to_vec();
    let compiled = CompiledComponent::from_our_compiler(bytes.split_off(HEADER));
    if compiled.checksum().as_slice() != checksum {
        return Err(broken("its checksum is wrong: it was cut short or changed"));
    }
    Ok(compiled)
}

/// Makes sure that the directory is there and this user's alone.
fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Not following links: a link could later be made to point to a directory of somebody else.
    let found = fs::symlink_metadata(dir)?;
    if !found.is_dir() {
        return Err(io::Error::other("it is a link or a file, not a directory"));
    }
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != us {
        return Err(io::Error::other(format!("it belongs to user {owner}, and this process is user {us}")));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Removes files that a process which died has left unfinished, and what is too much.
fn sweep(dir: &Path) {
    for (path, file) in files(dir) {
        let unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED));
        let age = file.modified().ok().and_then(|changed| changed.elapsed().ok()).unwrap_or_default();
        // A younger one may be in the making by another process that shares the directory.
        if unfinished && age > ABANDONED {
            let _ = fs::remove_file(path);
        }
    }
    prune(dir, MAX_CACHE_BYTES);
}

/// Removes the files that were not used for longest until the rest has at most so many bytes.
fn prune(dir: &Path, most: u64) {
    let ours = |path: &Path| path.extension().is_some_and(|extension| extension == EXTENSION);
    let mut all: Vec<_> = files(dir).into_iter().filter(|(path, _)| ours(path)).collect();
    all.sort_by_key(|(_, file)| std::cmp::Reverse(file.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
    let mut kept: u64 = 0;
    for (path, file) in all {
        kept = kept.saturating_add(file.len());
        if kept > most {
            let _ = fs::remove_file(path);
        }
    }
}

fn files(dir: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))).collect()
}

#[cfg(test)]
mod tests;
