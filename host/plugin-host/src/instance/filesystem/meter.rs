//! What a call of `wasi:filesystem` adds, counted before it does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use cap_std::fs::Dir;
use wasmtime_wasi::filesystem as wasi;

use crate::instance::scratch::depth::TooDeep;
use crate::instance::scratch::look::height;
use crate::instance::scratch::{Growth, Scratch};
use crate::manifest::limits::LimitReached;

/// The most files of a folder that are looked at before it is moved: more than any limit of files.
const MAX_MOVED: u64 = 1 << 24;

/// Why nothing was added.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A budget is used up: the guest is ended.
    Limit(LimitReached),
    /// A folder would lie too deep: the guest gets an error.
    TooDeep,
    /// The system refused.
    System(io::Error),
}

impl From<LimitReached> for Refusal {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Writes all bytes at an offset, or at the end; how many those are.
pub(super) fn write(
    scratch: &Scratch,
    file: &File,
    at: Option<u64>,
    mut bytes: &[u8],
) -> Result<u64, Refusal> {
    let all = bytes.len() as u64;
    let written = (|| {
        let size = file.metadata()?.len();
        let mut at = at.unwrap_or(size);
        let end = at.checked_add(all).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        // What lies within the file is counted already, holes included.
        let _growth = scratch.grow(end.saturating_sub(size), 0)?;
        while !bytes.is_empty() {
            let written = match file.write_at(bytes, at) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            bytes = bytes.get(written..).unwrap_or_default();
            at += written as u64;
        }
        Ok(all)
    })();
    if let Err(Refusal::System(error)) = &written {
        scratch.trouble().saw("writing a file of the runner", error);
    }
    written
}

/// Counts what a file grows by when it is cut or stretched to this size.
pub(super) fn resize<'a>(
    scratch: &'a Scratch,
    file: &wasi::File,
    size: u64,
) -> Result<Option<Growth<'a>>, Refusal> {
    if file.perms.write_not_permitted() {
        return Ok(None);
    }
    let bytes = size.saturating_sub(file.file.metadata()?.len());
    Ok(Some(scratch.grow(bytes, 0)?))
}

/// Counts a file that may be created by opening it.
pub(super) fn create<'a>(
    scratch: &'a Scratch,
    dir: &wasi::Dir,
    path: &str,
) -> Result<Option<Growth<'a>>, Refusal> {
    // Links are followed: what is there already, wherever it is, is counted.
    if dir.perms.write_not_permitted() || contained(dir)?.metadata(path).is_ok() {
        return Ok(None);
    }
    Ok(Some(scratch.grow(0, 1)?))
}

/// Checks that a file of a granted folder can be opened without waiting: the operator's folder may have a FIFO, and a
/// guest that waits for it in the host can't be ended. A guest itself can make none.
pub(super) fn check_opened(dir: &wasi::Dir, path: &str) -> Result<(), Refusal> {
    if !dir.perms.write_not_permitted() {
        return Ok(());
    }
    match contained(dir)?.metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            Err(Refusal::System(rustix::io::Errno::NOTSUP.into()))
        }
        _ => Ok(()),
    }
}

/// Counts a link, with the bytes of what it leads to.
pub(super) fn link<'a>(
    scratch: &'a Scratch,
    dir: &wasi::Dir,
    bytes: usize,
) -> Result<Option<Growth<'a>>, Refusal> {
    if dir.perms.write_not_permitted() {
        return Ok(None);
    }
    Ok(Some(scratch.grow(bytes as u64, 1)?))
}

/// Counts a folder, if it does not lie too deep.
pub(super) fn folder<'a>(
    scratch: &'a Scratch,
    dir: &wasi::Dir,
    path: &str,
) -> Result<Option<Growth<'a>>, Refusal> {
    if dir.perms.write_not_permitted() {
        return Ok(None);
    }
    // A parent that is not there is for the call itself to refuse.
    if let Ok(parent) = parent(dir, path) {
        check(scratch, &parent, 0)?;
    }
    Ok(Some(scratch.grow(0, 1)?))
}

/// Checks that no folder lies too deep once this one is moved.
pub(super) fn rename<'a>(
    scratch: &'a Scratch,
    (old_dir, old_path): (&wasi::Dir, &str),
    (new_dir, new_path): (&wasi::Dir, &str),
) -> Result<Growth<'a>, Refusal> {
    let moving = scratch.moving();
    if old_dir.perms.write_not_permitted() || new_dir.perms.write_not_permitted() {
        return Ok(moving);
    }
    let old = contained(old_dir)?;
    // What is no folder, or is not there, changes no depth.
    if old.symlink_metadata(old_path).is_ok_and(|found| found.is_dir()) {
        let levels = height(&old.open_dir(old_path)?.into_std_file(), MAX_MOVED)?;
        if let Ok(parent) = parent(new_dir, new_path) {
            check(scratch, &parent, levels)?;
        }
    }
    Ok(moving)
}

fn check(scratch: &Scratch, parent: &File, levels: usize) -> Result<(), Refusal> {
    scratch.check_depth(parent, levels).map_err(|TooDeep| Refusal::TooDeep)
}

/// The folder that a path's last name lies in.
fn parent(dir: &wasi::Dir, path: &str) -> io::Result<File> {
    let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok(contained(dir)?.open_dir(parent.unwrap_or(Path::new(".")))?.into_std_file())
}

/// A folder of the guest's that no path leads out of.
pub(super) fn contained(dir: &wasi::Dir) -> io::Result<Dir> {
    Ok(Dir::from_std_file(dir.dir.try_clone()?))
}
