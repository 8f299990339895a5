//! Which folders of this machine no runner gets, whatever its policy says: those that hold the node's secrets, or those
//! of the system, and whatever is above or below them.
//!
//! Folders are compared by what they are (device and inode) and not by how they are called: a link, `..` or a bind mount
//! leads to the same folder. What is granted is opened here, and the open folder is what is looked at, so that nothing
//! can take its place between the look and the use.

mod mounts;
mod place;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use posemesh_text::one_line;
use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat};

use crate::folders::mounts::{is_of_the_kernel, mounts_below};
use crate::folders::place::Place;

/// The longest path that an error shows, in bytes.
const MAX_SHOWN: usize = 300;

/// Folders of every system: what the kernel tells of processes and devices, the configuration with its secrets, and
/// where secrets are handed to services.
const OF_THE_SYSTEM: [&str; 8] =
    ["/proc", "/sys", "/dev", "/etc", "/run/credentials", "/run/secrets", "/var/run/secrets", "/root"];
/// Folders below a home in which programs keep what gives access to something.
const OF_A_HOME: [&str; 8] =
    [".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config", ".local/share/keyrings"];

/// The folders that no runner gets.
///
/// ```
/// use std::path::Path;
///
/// use posemesh_plugin_host::load::PrivateFolders;
///
/// let dir = tempfile::tempdir()?;
/// let private = PrivateFolders::default().closed(dir.path().join("work"));
/// assert!(private.open(Path::new("/proc/self")).is_err());
/// assert!(private.open(dir.path()).is_err(), "the node's folder is in it");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PrivateFolders {
    /// Closed with all that is in them.
    closed: Vec<PathBuf>,
    /// Closed themselves, but not the folders in them.
    holders: Vec<PathBuf>,
}

impl Default for PrivateFolders {
    /// Those of the system, and of the home of this process.
    fn default() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let of_system = OF_THE_SYSTEM.iter().map(PathBuf::from);
        let of_home = home.iter().flat_map(|home| OF_A_HOME.iter().map(|name| home.join(name)));
        let closed = of_system
            // Whoever runs the node as root keeps its folders there, as in any other home.
            .filter(|folder| home.as_ref() != Some(folder))
            .chain(of_home)
            .collect();
        Self { closed, holders: home.into_iter().collect() }
    }
}

/// A folder that a runner gets, open.
#[derive(Debug)]
pub struct OpenFolder {
    /// The name that the runner asked for.
    pub name: String,
    /// The folder.
    pub folder: OwnedFd,
}

impl PrivateFolders {
    /// Closes a folder with all that is in it. It need not be there yet.
    #[must_use]
    pub fn closed(mut self, folder: impl Into<PathBuf>) -> Self {
        self.closed.push(folder.into());
        self
    }

    /// Closes the folder that a file with secrets lies in: that folder and what is above it, but not its other folders.
    #[must_use]
    pub fn holder_of(mut self, file: &Path) -> Self {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        // Where the file really lies, if it is a link.
        let real = absolute.canonicalize().ok();
        for file in [Some(absolute), real].into_iter().flatten() {
            self.holders.extend(file.parent().map(Path::to_owned));
        }
        self
    }

    /// Opens a folder for a runner.
    ///
    /// # Errors
    /// When it can't be opened, or is closed to runners; the text says why and what helps.
    pub fn open(&self, folder: &Path) -> Result<OwnedFd, String> {
        let shown = one_line(folder.display(), MAX_SHOWN);
        let failed = |error: io::Error| format!("the folder {shown} can't be opened: {error}");
        if !folder.is_absolute() {
            return Err(format!("{shown} must be the absolute path of a folder that is there"));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, folder, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        match self.why_closed(&opened).map_err(failed)? {
            None => Ok(opened),
            Some(why) => Err(format!(
                "no runner may have the folder {shown}: {why}; grant a folder that holds what the runner needs and \
                 nothing else"
            )),
        }
    }

    /// Why an open folder is closed to runners; none if it is not.
    fn why_closed(&self, opened: &OwnedFd) -> io::Result<Option<String>> {
        let place = Place::of(opened.as_fd())?;
        if is_of_the_kernel(fstatfs(opened)?.f_type) {
            return Ok(Some("it is not made of files but of what the kernel tells".to_owned()));
        }
        for (private, with_all) in self.all() {
            let Some(theirs) = Place::nearest(private) else { continue };
            let shown = one_line(private.display(), MAX_SHOWN);
            if with_all && theirs.is_there && place.is_in(&theirs) {
                return Ok(Some(format!(
                    "it is {shown}, or lies in it, which is the node's or the system's own"
                )));
            }
            if theirs.place.is_in_place(&place) {
                return Ok(Some(format!("{shown} lies in it, which is the node's or the system's own")));
            }
        }
        for mount in mounts_below(opened.as_fd())? {
            let shown = one_line(mount.at.display(), MAX_SHOWN);
            if mount.of_the_kernel {
                return Ok(Some(format!("{shown} is mounted in it, where the kernel tells of other things")));
            }
            let Ok(mounted) = Place::at(&mount.at) else { continue };
            let is_private = |(private, _): (&PathBuf, bool)| {
                Place::nearest(private).is_some_and(|theirs| theirs.place.is_in_place(&mounted))
            };
            if self.all().any(is_private) {
                return Ok(Some(format!(
                    "{shown} is mounted in it, which is the node's or the system's own"
                )));
            }
        }
        Ok(None)
    }

    /// All of them, with whether what is in them is closed too.
    fn all(&self) -> impl Iterator<Item = (&PathBuf, bool)> {
        let closed = self.closed.iter().map(|folder| (folder, true));
        closed.chain(self.holders.iter().map(|folder| (folder, false)))
    }
}

#[cfg(test)]
mod tests;
