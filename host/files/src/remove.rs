//! Removing a folder with whatever somebody left in it.
//!
//! `std::fs::remove_dir_all` calls itself and holds a descriptor for each level, so a tree that is deep enough ends
//! the process. Here a folder that is not empty hands its own folders up to the top before it is removed: each folder
//! is moved once, two descriptors are open at a time, no path is ever longer than one name, and links are removed,
//! never followed.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use posemesh_text::one_line;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// How often the top is gone through again while something is still found in it: a listing may miss what was moved
/// into the folder while it was read.
const MAX_PASSES: usize = 16;
/// How many of the entries that stay are named.
const NAMED: usize = 4;
/// How much of a name is shown, in bytes.
const MAX_SHOWN: usize = 100;
/// How often another name is tried for a folder that is moved up.
const MAX_NAMES: u64 = 1000;

/// What could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be removed from {}: {}", entries(*.left), one_line(.path.display(), 512), .named.join("; "))]
pub struct RemoveError {
    /// The folder that was to be removed.
    pub path: PathBuf,
    /// How many entries stay, that of the folder itself not counted.
    pub left: usize,
    /// The first of them, each with the system's answer.
    pub named: Vec<String>,
}

fn entries(left: usize) -> String {
    if left == 1 { "1 entry".to_owned() } else { format!("{left} entries") }
}

/// Removes a folder with everything in it; a file or a link is removed as well. What is not there counts as removed.
/// Everything that can be removed is, whatever stays.
///
/// # Errors
/// When something stays: the text names the first entries and says why.
pub fn remove_tree(path: &Path) -> Result<(), RemoveError> {
    let mut removal = Removal::default();
    let result = removal.whole(path);
    if let Err(error) = result {
        removal.keep(OsStr::new("the folder itself"), error);
    }
    if removal.left == 0 {
        return Ok(());
    }
    Err(RemoveError { path: path.to_owned(), left: removal.left, named: removal.named })
}

#[derive(Default)]
struct Removal {
    /// Folders that were moved up and are still to be removed, by number.
    moved: Vec<u64>,
    /// The number of the next folder that is moved up.
    next: u64,
    /// Whether anything was removed or moved in this pass.
    progress: bool,
    left: usize,
    named: Vec<String>,
}

impl Removal {
    fn whole(&mut self, path: &Path) -> io::Result<()> {
        let metadata = match std::fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !metadata.is_dir() {
            return std::fs::remove_file(path);
        }
        let name = CString::new(path.as_os_str().as_bytes())?;
        let top = open_folder(CWD, &name)?;
        for _ in 0..MAX_PASSES {
            // What stays is what the last pass could not remove.
            (self.progress, self.left, self.named) = (false, 0, Vec::new());
            self.pass(&top)?;
            match unlinkat(CWD, name.as_c_str(), AtFlags::REMOVEDIR) {
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) => return Ok(()),
                Err(error) if self.left == 0 && !is_not_empty(error) => return Err(error.into()),
                Err(_) if !self.progress => break,
                Err(_) => {}
            }
        }
        if self.left == 0 {
            return Err(io::Error::other("something is put into it again and again"));
        }
        Ok(())
    }

    /// Removes every entry of the top, and every folder that this moves there.
    fn pass(&mut self, top: &OwnedFd) -> io::Result<()> {
        let mut listing = Dir::read_from(top)?;
        while let Some(entry) = listing.read() {
            let entry = entry?;
            self.entry(top, entry.file_name(), entry.file_type());
            // At once, so that no more names than there are folders on one level wait in memory.
            while let Some(number) = self.moved.pop() {
                self.entry(top, &moved_name(number), FileType::Directory);
            }
        }
        Ok(())
    }

    fn entry(&mut self, top: &OwnedFd, name: &CStr, kind: FileType) {
        if is_dots(name) {
            return;
        }
        match self.remove(top, name, kind) {
            Ok(()) => self.progress = true,
            // It went on its own, or was removed under the other of its two names in this listing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.keep(OsStr::from_bytes(name.to_bytes()), error),
        }
    }

    fn remove(&mut self, top: &OwnedFd, name: &CStr, kind: FileType) -> io::Result<()> {
        if !is_folder(top, name, kind)? {
            return Ok(unlinkat(top, name, AtFlags::empty())?);
        }
        match unlinkat(top, name, AtFlags::REMOVEDIR) {
            Ok(()) => return Ok(()),
            Err(error) if is_not_empty(error) => {}
            Err(error) => return Err(error.into()),
        }
        let folder = open_folder(top, name)?;
        let mut failed = None;
        // Again while it changes: a listing may miss entries while others are taken out of the folder.
        for _ in 0..MAX_PASSES {
            let mut changed = false;
            let mut listing = Dir::read_from(&folder)?;
            while let Some(entry) = listing.read() {
                let entry = entry?;
                if is_dots(entry.file_name()) {
                    continue;
                }
                match self.take_out(top, &folder, entry.file_name(), entry.file_type()) {
                    Ok(()) => changed = true,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => failed = Some((entry.file_name().to_owned(), error)),
                }
            }
            self.progress |= changed;
            match unlinkat(top, name, AtFlags::REMOVEDIR) {
                Ok(()) => return Ok(()),
                Err(error) if is_not_empty(error) && changed => {}
                Err(error) => {
                    let (inner, error) = failed.unwrap_or((c".".to_owned(), error.into()));
                    let inner = one_line(String::from_utf8_lossy(inner.to_bytes()), MAX_SHOWN);
                    return Err(io::Error::new(error.kind(), format!("{inner} in it: {error}")));
                }
            }
        }
        Err(io::Error::other("something is put into it again and again"))
    }

    /// Takes an entry out of a folder: what is empty or no folder is removed, another folder is moved up to the top.
    fn take_out(&mut self, top: &OwnedFd, folder: &OwnedFd, name: &CStr, kind: FileType) -> io::Result<()> {
        if !is_folder(folder, name, kind)? {
            return Ok(unlinkat(folder, name, AtFlags::empty())?);
        }
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) => return Ok(()),
            Err(error) if is_not_empty(error) => {}
            Err(error) => return Err(error.into()),
        }
        let mut allowed = false;
        for _ in 0..MAX_NAMES {
            let number = self.next;
            self.next += 1;
            match renameat(folder, name, top, moved_name(number).as_c_str()) {
                Ok(()) => {
                    self.moved.push(number);
                    return Ok(());
                }
                // Somebody chose this very name.
                Err(error) if is_not_empty(error) || error == Errno::NOTDIR => {}
                // Moving a folder changes its own entry `..`, which its rights may forbid.
                Err(Errno::ACCESS) if !allowed => {
                    allowed = true;
                    chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("no free name to move it to"))
    }

    fn keep(&mut self, name: &OsStr, error: io::Error) {
        self.left += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{}: {error}", one_line(name.display(), MAX_SHOWN)));
        }
    }
}

/// Opens a folder to be emptied; rights that forbid that are changed first, which its owner may.
fn open_folder(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // What follows tells whether that was enough: a folder of somebody else stays as it is.
        let _ = chmodat(&parent, name, Mode::RWXU, AtFlags::empty());
    }
    Ok(openat(&parent, name, flags, Mode::empty())?)
}

/// Some file systems don't say in a listing what an entry is.
fn is_folder(parent: &OwnedFd, name: &CStr, kind: FileType) -> io::Result<bool> {
    let kind = match kind {
        FileType::Unknown => {
            FileType::from_raw_mode(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
        }
        known => known,
    };
    Ok(kind == FileType::Directory)
}

fn is_not_empty(error: Errno) -> bool {
    // Both stand for a folder that is not empty, as the file system likes.
    error == Errno::NOTEMPTY || error == Errno::EXIST
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn moved_name(number: u64) -> CString {
    // Can't fail: it has no zero byte.
    CString::new(format!(".removed-{number:x}")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
