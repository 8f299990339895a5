//! The key of a cache, which only this user can read, and the tags that are made with it. A file with a right tag was
//! written by a node with this very cache, for this very component and engine.

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use hmac::{Hmac, Mac as _};
use posemesh_files::{open_private, remove_tree, write_private_new};
use sha2::Sha256;

/// The key's name in the directory.
pub(super) const FILE: &str = "key";
/// Length of key and tag, in bytes.
pub(super) const BYTES: usize = 32;
/// What a tag is made of first, so that nothing else that is ever made with this key can be taken for one.
const PURPOSE: &[u8] = b"posemesh-node compiled component 2";
/// How often the key is read again when another process makes it at the same time.
const ATTEMPTS: usize = 3;

/// A secret that is made with the cache and kept in it.
#[derive(Clone)]
pub(super) struct CacheKey([u8; BYTES]);

impl CacheKey {
    /// Reads the key of a directory, or makes one. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match read(&path) {
                Ok(key) => return Ok(Self(key)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(
                        path = %path.display(),
                        %error,
                        "the key of the compiled runners can't be used; with a new one, all of them are compiled anew"
                    );
                    remove_tree(&path).map_err(io::Error::other)?;
                }
            }
            match write_private_new(&path, &random()?) {
                Ok(()) => {}
                // Another process was faster: its key is as good.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            last = Some(path.display().to_string());
        }
        Err(io::Error::other(format!("the key {} goes again and again", last.unwrap_or_default())))
    }

    /// The tag of code that was compiled from a component for an engine.
    pub(super) fn tag(&self, component: &str, engine: &str, code: &[u8]) -> io::Result<[u8; BYTES]> {
        Ok(self.mac(component, engine, code)?.finalize().into_bytes().into())
    }

    /// Whether a tag is the right one; how long that takes says nothing about it.
    pub(super) fn fits(&self, tag: &[u8], component: &str, engine: &str, code: &[u8]) -> io::Result<bool> {
        Ok(self.mac(component, engine, code)?.verify_slice(tag).is_ok())
    }

    fn mac(&self, component: &str, engine: &str, code: &[u8]) -> io::Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(io::Error::other)?;
        for part in [PURPOSE, component.as_bytes(), engine.as_bytes(), code] {
            // With lengths, so that no byte can move from one part to the next.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Ok(mac)
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey")
    }
}

fn read(path: &Path) -> io::Result<[u8; BYTES]> {
    let mut bytes = Vec::new();
    open_private(path)?.take(BYTES as u64 + 1).read_to_end(&mut bytes)?;
    <[u8; BYTES]>::try_from(bytes).map_err(|bytes| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a key has {BYTES} bytes, and this has {}", bytes.len()),
        )
    })
}

fn random() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
