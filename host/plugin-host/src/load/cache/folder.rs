//! The directory of a cache: this user's alone, and on a way that nobody else can turn.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use posemesh_files::{exposures, remove_tree};

use crate::load::cache::key;

/// The oldest files go when all together have more.
pub(super) const MAX_CACHE_BYTES: u64 = 4 << 30;
/// Unfinished files that are older were left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// What the names of compiled components end with.
pub(super) const EXTENSION: &str = "cwasm";
const UNFINISHED: &str = ".unfinished-";

/// What became of a directory that was to be made private.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// It is this user's alone.
    Private,
    /// Others can change it, or put another one in its place; how. Nothing in it may be believed.
    Exposed(String),
}

/// Makes sure that the directory is there and this user's alone. Whatever others could have put into it is removed. Blocks.
///
/// # Errors
/// When it can't be made, or is no directory.
pub(super) fn make_private(dir: &Path) -> io::Result<Folder> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Links are followed: whether others could turn them is looked at as well.
    let exposed = exposures(dir)?;
    // The directory's own mode can be mended, if it is ours; another owner and the way to it can't.
    if let Some(exposure) = exposed.iter().find(|exposure| !exposure.is_end || exposure.sticky) {
        return Ok(Folder::Exposed(exposure.to_string()));
    }
    let found = fs::metadata(dir)?;
    if !found.is_dir() {
        return Err(io::Error::other("it is a file, not a directory"));
    }
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != us {
        return Ok(Folder::Exposed(format!(
            "{} belongs to user {owner}, and this process is user {us}",
            dir.display()
        )));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    if found.mode() & 0o022 != 0 {
        tracing::warn!(
            dir = %dir.display(),
            mode = format!("{:04o}", found.mode() & 0o7777),
            "other users could write to the directory of compiled runners; it is closed, and what is in it is compiled anew"
        );
        discard(dir)?;
    }
    Ok(Folder::Private)
}

/// Removes what a cache believes.
fn discard(dir: &Path) -> io::Result<()> {
    remove_tree(&dir.join(key::FILE)).map_err(io::Error::other)?;
    for (path, _) in files(dir) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with(UNFINISHED) || path.extension().is_some_and(|extension| extension == EXTENSION) {
            remove_tree(&path).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// Removes files that a process which died has left unfinished, and what is too much.
pub(super) fn sweep(dir: &Path) {
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
pub(super) fn prune(dir: &Path, most: u64) {
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

pub(super) fn files(dir: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))).collect()
}
