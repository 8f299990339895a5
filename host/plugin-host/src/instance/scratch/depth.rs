//! How deep a folder of the sandbox lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstat, openat};

/// The most levels of folders below `/work`, and below `/tmp`. Every path that a runner can make stays short enough for whoever goes
/// through the folder later.
pub(crate) const MAX_DEPTH: usize = 64;

/// A folder would lie deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// How many levels a folder lies below one of `tops`; more than [`MAX_DEPTH`] when it lies deeper, or elsewhere.
///
/// Found by going up, so that it does not matter by which path or descriptor, or through which links, the runner has
/// come there.
pub(crate) fn depth_of(folder: &File, tops: &[&Path]) -> io::Result<usize> {
    let mut known = Vec::with_capacity(tops.len());
    for top in tops {
        match std::fs::metadata(top) {
            Ok(found) => known.push((found.dev(), found.ino())),
            // Nothing lies below a folder that went.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(folder, ".", flags, Mode::empty())?;
    for depth in 0..=MAX_DEPTH {
        let stat = fstat(&at)?;
        if known.contains(&(stat.st_dev, stat.st_ino)) {
            return Ok(depth);
        }
        at = openat(&at, "..", flags, Mode::empty())?;
    }
    Ok(MAX_DEPTH + 1)
}
