//! Compiled components on disk, so that a node with many runners starts fast.
//!
//! **Invariant:** nothing is loaded from a directory that another user could write to or replace, and nothing but what
//! carries a tag that was made with this cache's key over these very bytes, the component that they were compiled from and
//! the engine. So neither a file that somebody put there nor one under another's name is run. What does not fit is removed
//! and compiled again.

mod folder;
mod key;

use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::SystemTime;

use posemesh_files::{open_private, remove_tree, write_private};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use crate::code::compiled::{CompiledComponent, MAX_COMPILED_BYTES};
use crate::load::cache::folder::{EXTENSION, Folder, MAX_CACHE_BYTES, make_private, prune, sweep};
use crate::load::cache::key::CacheKey;

/// What a file of ours begins with; the number changes with the layout.
const MAGIC: &[u8; 8] = b"pmnode02";
/// Magic and tag.
const HEADER: usize = MAGIC.len() + key::BYTES;

/// Why the directory of compiled components is not used: it can't be made.
#[derive(Debug, thiserror::Error)]
#[error("CACHE_DIR {dir}: {what}; it must be a directory that only this user can write to")]
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
    key: CacheKey,
}

/// What became of a directory that was to be a cache.
#[derive(Debug)]
pub(crate) enum OpenedCache {
    /// It is this user's alone.
    Open(Cache),
    /// Others could change what lies in it; how, and what helps. It is not used.
    Distrusted(String),
}

impl Cache {
    /// Makes or checks the directory and its key, and removes what was left unfinished.
    ///
    /// # Errors
    /// When one of them can't be made.
    pub(crate) async fn open(dir: PathBuf, engine: &Engine) -> Result<OpenedCache, CacheError> {
        let at = dir.clone();
        let open = move || match make_private(&dir)? {
            Folder::Private => {
                sweep(&dir);
                Ok(Ok((CacheKey::of(&dir)?, dir)))
            }
            Folder::Exposed(how) => Ok(Err(how)),
        };
        let opened =
            tokio::task::spawn_blocking(open).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        match opened {
            Ok(Ok((key, dir))) => {
                let mut hasher = Sha256Hasher(Sha256::new());
                engine.precompile_compatibility_hash().hash(&mut hasher);
                Ok(OpenedCache::Open(Self { dir, compatibility: format!("{:016x}", hasher.finish()), key }))
            }
            Ok(Err(how)) => Ok(OpenedCache::Distrusted(format!(
                "CACHE_DIR {} is not used, and every runner is compiled at each start: {how}; compiled code that is run \
                 must lie where only this user can write, the folders above it included",
                at.display()
            ))),
            Err(error) => Err(CacheError { dir: at, what: error.to_string() }),
        }
    }

    /// The compiled component of a digest, if it is there and whole.
    pub(crate) async fn get(&self, digest: &str) -> Option<CompiledComponent> {
        let (cache, of) = (self.clone(), digest.to_owned());
        let read = move || {
            let path = cache.path(&of);
            let reason = match cache.read(&of) {
                Ok(compiled) => {
                    // So that the least used go first.
                    let _ = open_private(&path).and_then(|file| file.set_modified(SystemTime::now()));
                    return Some(compiled);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Err(error) => error.to_string(),
            };
            tracing::warn!(path = %path.display(), reason, "compiled code can't be used and is compiled anew");
            if let Err(error) = remove_tree(&path) {
                tracing::warn!("{error}");
            }
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
        let tag = self.key.tag(digest, &self.compatibility, compiled.bytes())?;
        let mut bytes = Vec::with_capacity(HEADER + compiled.bytes().len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&tag);
        bytes.extend_from_slice(compiled.bytes());
        let write = move || {
            write_private(&path, &bytes)?;
            prune(&dir, MAX_CACHE_BYTES);
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.{EXTENSION}", self.compatibility))
    }

    /// Reads the file of a component and compares its tag with what was read. Blocks.
    fn read(&self, digest: &str) -> io::Result<CompiledComponent> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut bytes = Vec::new();
        open_private(&self.path(digest))?.take(MAX_COMPILED_BYTES + HEADER as u64).read_to_end(&mut bytes)?;
        if bytes.get(..MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(broken("it is not of this node's making"));
        }
        let tag = bytes.get(MAGIC.len()..HEADER).ok_or_else(|| broken("it is cut short"))?.to_vec();
        let code = bytes.split_off(HEADER);
        // Before anything else is done with them.
        if !self.key.fits(&tag, digest, &self.compatibility, &code)? {
            return Err(broken("its tag is wrong: it was changed, or is the code of another component"));
        }
        Ok(CompiledComponent::from_our_compiler(code))
    }
}

/// A hasher whose result nobody can bring about with other settings, and which is the same in every build.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests;
