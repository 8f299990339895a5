//! Who else may change what lies at a path: each folder on the way to it counts, and each link.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use posemesh_text::one_line;

/// The most links on the way, as for the system itself.
const MAX_LINKS: usize = 40;
/// How much of a path is shown, in bytes.
const MAX_SHOWN: usize = 512;

/// A place on the way to a path, or at its end, that users other than this one and root may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The folder, file or link.
    pub place: PathBuf,
    /// Whether it is the end of the path, and not a folder or link on the way.
    pub is_end: bool,
    /// Whether it has the sticky bit: others may add to it, and neither remove nor replace what is there.
    pub sticky: bool,
    /// How it is open to others: who owns it, or its mode.
    how: String,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", one_line(self.place.display(), MAX_SHOWN), self.how)
    }
}

/// The places from `/` to a path by which others could change what lies there: those of other owners, and those that the
/// group or everybody may write to. A folder on the way may be shared if it has the sticky bit, as `/tmp` has. Links are
/// followed, and their own way is looked at. Blocks.
///
/// # Errors
/// When something on the way is not there or can't be looked at.
pub fn exposures(path: &Path) -> io::Result<Vec<Exposure>> {
    let us = rustix::process::geteuid().as_raw();
    let mut left: VecDeque<OsString> = VecDeque::new();
    let mut here = PathBuf::from("/");
    let mut links = 0;
    let mut found = Vec::new();
    prepend(&mut left, &std::path::absolute(path)?);
    found.extend(exposure(&here, us, left.is_empty())?);
    while let Some(name) = left.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let looked = next.symlink_metadata()?;
        if looked.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("too many symbolic links"));
            }
            // What it says can be changed by its owner alone, whatever its mode.
            found.extend(foreign(&next, looked.uid(), us, false));
            let target = std::fs::read_link(&next)?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            prepend(&mut left, &target);
            continue;
        }
        found.extend(exposure(&next, us, left.is_empty())?);
        here = next;
    }
    Ok(found)
}

/// Puts the names of a path before those that are left to be walked.
fn prepend(left: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => left.push_front(name.to_owned()),
            Component::ParentDir => left.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn exposure(place: &Path, us: u32, is_end: bool) -> io::Result<Option<Exposure>> {
    let looked = place.symlink_metadata()?;
    if let Some(foreign) = foreign(place, looked.uid(), us, is_end) {
        return Ok(Some(foreign));
    }
    let mode = looked.mode() & 0o7777;
    let sticky = looked.is_dir() && mode & 0o1000 != 0;
    let open = mode & 0o022 != 0 && (is_end || !sticky);
    let who = if mode & 0o002 != 0 { "everybody" } else { "its group" };
    Ok(open.then(|| Exposure {
        place: place.to_owned(),
        is_end,
        sticky,
        how: format!("can be changed by {who} (mode {mode:04o}; `chmod go-w` closes it)"),
    }))
}

fn foreign(place: &Path, owner: u32, us: u32, is_end: bool) -> Option<Exposure> {
    (owner != us && owner != 0).then(|| Exposure {
        place: place.to_owned(),
        is_end,
        sticky: false,
        how: format!("belongs to user {owner}, and this process is user {us}"),
    })
}

#[cfg(test)]
#[allow(clippy::zero_repeat_side_effects, clippy::cloned_ref_to_slice_refs, clippy::unwrap_used)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn places(path: &Path) -> Vec<PathBuf> {
        exposures(path).unwrap().into_iter().map(|exposure| exposure.place).collect()
    }

    #[test]
    fn every_folder_and_link_on_the_way_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (open, inner, own) = (root.join("open"), root.join("open/inner"), root.join("own"));
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(&own).unwrap();
        for dir in [&open, &inner, &own] {
            chmod(dir, 0o755);
        }
        // Below the system's temporary folder, which is everybody's and sticky.
        assert_eq!(places(&inner), [PathBuf::new(); 0]);
        chmod(&open, 0o777);
        assert_eq!(places(&inner), [open.clone()]);
        chmod(&open, 0o775);
        assert_eq!(places(&inner), [open.clone()], "a group is others as well");
        symlink(&inner, own.join("link")).unwrap();
        symlink("../open/./inner", own.join("relative")).unwrap();
        for link in ["link", "relative"] {
            assert_eq!(places(&own.join(link)), [open.clone()], "the way that a link leads counts: {link}");
        }
        chmod(&open, 0o1777);
        assert_eq!(places(&inner), [PathBuf::new(); 0], "nobody can replace what lies in it");
        let at_end = exposures(&open).unwrap();
        assert!(at_end.iter().all(|exposure| exposure.is_end && exposure.sticky), "{at_end:?}");
        assert_eq!(at_end.len(), 1, "at the end a shared folder is one that others add to");
        symlink(root.join("loop"), root.join("loop")).unwrap();
        assert!(exposures(&root.join("loop")).is_err());
        assert_eq!(exposures(&root.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_belongs_to_another_user_is_named() {
        let root = tempfile::tempdir().unwrap();
        let theirs = root.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        // Only root can give files away.
        if std::os::unix::fs::chown(&theirs, Some(12_345), None).is_err() {
            return;
        }
        let found = exposures(&theirs).unwrap();
        assert!(
            found.iter().any(|exposure| exposure.to_string().contains("belongs to user 12345")),
            "{found:?}"
        );
    }
}
