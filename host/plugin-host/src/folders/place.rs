//! Where a folder is: itself and all that it lies in, by device and inode.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

/// No folder lies deeper: a path has at most 4,096 bytes.
const MAX_DEPTH: usize = 4096;

/// What makes a folder the same folder.
type Identity = (u64, u64);

/// A folder and its ancestors, itself first, `/` last. What a mount covers is not among them.
#[derive(Debug)]
pub(super) struct Place(Vec<Identity>);

/// Where a path leads that need not exist.
pub(super) struct Nearest {
    /// Of the folder, or of the nearest one above it that is there.
    pub(super) place: Place,
    /// Whether it is the folder itself.
    pub(super) is_there: bool,
}

impl Place {
    /// Of an open folder.
    ///
    /// # Errors
    /// When one of its ancestors can't be looked at.
    pub(super) fn of(folder: BorrowedFd<'_>) -> io::Result<Self> {
        let mut place = vec![identity(folder)?];
        let mut above = parent(folder)?;
        while place.len() < MAX_DEPTH {
            let next = identity(std::os::fd::AsFd::as_fd(&above))?;
            // Only `/` is its own parent.
            if place.last() == Some(&next) {
                return Ok(Self(place));
            }
            place.push(next);
            above = parent(std::os::fd::AsFd::as_fd(&above))?;
        }
        Err(io::Error::other("it lies too deep"))
    }

    /// Of the folder at a path, links followed.
    ///
    /// # Errors
    /// When it is not there, is no folder, or can't be looked at.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let folder = openat(CWD, path, flags(), Mode::empty())?;
        Self::of(std::os::fd::AsFd::as_fd(&folder))
    }

    /// Of the folder at a path or, if that is not there, of the nearest one above it. None of a path that leads nowhere.
    pub(super) fn nearest(path: &Path) -> Option<Nearest> {
        path.ancestors()
            .enumerate()
            .find_map(|(above, path)| Some(Nearest { place: Self::at(path).ok()?, is_there: above == 0 }))
    }

    /// Whether it is that folder, or lies in it.
    pub(super) fn is_in(&self, other: &Nearest) -> bool {
        self.is_in_place(&other.place)
    }

    /// The same.
    pub(super) fn is_in_place(&self, other: &Self) -> bool {
        other.0.first().is_some_and(|folder| self.0.contains(folder))
    }
}

fn flags() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn parent(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(openat(folder, "..", flags(), Mode::empty())?)
}

fn identity(folder: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}
