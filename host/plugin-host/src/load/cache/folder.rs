//! The directory of a cache: this user's alone, and on a way that nobody else can turn.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use posemesh_files::{exposures, remove_tree};

use super::{EXTENSION, UNFINISHED, files, key};

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
