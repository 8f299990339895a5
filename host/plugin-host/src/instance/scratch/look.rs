//! A look at what is in the folders of a sandbox.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Weak;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use crate::instance::scratch::depth::MAX_DEPTH;

/// What is in one or several folders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FolderSize {
    /// Bytes of all files: their sizes, holes included, since a hole can be filled without asking anybody.
    pub(crate) bytes: u64,
    /// Files, folders and links.
    pub(crate) files: u64,
    /// Levels of folders below them.
    pub(crate) deepest: usize,
}

impl FolderSize {
    /// The files that are the runner's: the folder `inputs` is always there in `/work`.
    pub(crate) fn own_files(&self) -> u64 {
        self.files.saturating_sub(1)
    }
}

/// Looks at folders and at files that have no name any more but are open. Links are not followed, a file with several
/// names counts its bytes once, and counting stops after `stop_at` files.
///
/// # Errors
/// When the system refuses a look for want of something; what is gone counts nothing.
pub(crate) fn look(dirs: &[&Path], stop_at: u64, opened: &[Weak<File>]) -> io::Result<FolderSize> {
    let mut found = FolderSize::default();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A file that has several names, in whichever folder, or none, is counted once.
    let mut seen = HashSet::new();
    nameless(opened, &mut seen, &mut found);
    for dir in dirs {
        if let Some(top) = there(openat(CWD, *dir, flags, Mode::empty()))? {
            walk(top, stop_at, &mut seen, &mut found)?;
        }
    }
    Ok(found)
}

/// How many levels of folders lie below one.
pub(crate) fn height(dir: &File, stop_at: u64) -> io::Result<usize> {
    let mut found = FolderSize::default();
    // Opened anew: a folder that is only there to be gone through can't be listed.
    let top = openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    walk(top, stop_at, &mut HashSet::new(), &mut found)?;
    Ok(found.deepest)
}

fn nameless(opened: &[Weak<File>], seen: &mut HashSet<(u64, u64)>, found: &mut FolderSize) {
    for file in opened.iter().filter_map(Weak::upgrade) {
        let Ok(stat) = fstat(&*file) else { continue };
        if stat.st_nlink == 0 && seen.insert((stat.st_dev, stat.st_ino)) {
            found.files += 1;
            found.bytes = found.bytes.saturating_add(stat.st_size.try_into().unwrap_or(0));
        }
    }
}

/// By descriptors, since a path may be longer than the system takes; one a level, and the levels are bounded.
fn walk(
    top: OwnedFd,
    stop_at: u64,
    seen: &mut HashSet<(u64, u64)>,
    found: &mut FolderSize,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folders = vec![Dir::new(top)?];
    loop {
        let level = folders.len();
        let Some(folder) = folders.last_mut() else { return Ok(()) };
        let Some(entry) = folder.read() else {
            folders.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        // Counted before it is looked at, so that a file which is removed at once counts too.
        found.files += 1;
        if found.files > stop_at {
            return Ok(());
        }
        let at = folder.fd()?;
        // The runner may remove a file between the listing and this look at it.
        let Some(stat) = there(statat(at, name, AtFlags::SYMLINK_NOFOLLOW))? else { continue };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            if stat.st_nlink < 2 || seen.insert((stat.st_dev, stat.st_ino)) {
                found.bytes = found.bytes.saturating_add(stat.st_size.try_into().unwrap_or(0));
            }
            continue;
        }
        found.deepest = found.deepest.max(level);
        // Too deep is too much anyway, and the descriptors of this look are bounded by that.
        if level <= MAX_DEPTH
            && let Some(inner) = there(openat(at, name, flags, Mode::empty()))?
        {
            folders.push(Dir::new(inner)?);
        }
    }
}

/// Nothing if it went, or became something else, since it was listed.
fn there<T>(result: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
