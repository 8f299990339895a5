//! A socket that a node listens on.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use posemesh_text::one_line;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::UnixListener;
use tokio::task::spawn_blocking;

use super::address::ShortAddress;

/// How much of a path or an error is shown, in bytes.
const SHOWN_BYTES: usize = 400;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("listening on the control socket {}: {what}", one_line(path.display(), SHOWN_BYTES))]
pub(crate) struct ControlError {
    path: PathBuf,
    what: String,
}

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    file: FileIdentity,
}

/// By what a file is known to be the same one: its inode, which the next file may get, and when it was made, where the file
/// system keeps that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    inode: u64,
    made: Option<SystemTime>,
}

impl FileIdentity {
    fn of(path: &Path) -> io::Result<Self> {
        let found = path.symlink_metadata()?;
        Ok(Self { inode: found.ino(), made: found.created().ok() })
    }
}

impl ControlSocket {
    /// Listens at a path, closed to other users. What a dead node left there is replaced.
    ///
    /// # Errors
    /// When a living process listens there, something else lies there, or the folder can't be written to.
    pub(crate) async fn bind(path: PathBuf) -> Result<(Self, UnixListener), ControlError> {
        let fail = |what: String| ControlError { path: path.clone(), what };
        let at = path.clone();
        let bound = spawn_blocking(move || bind(&at)).await.unwrap_or_else(|error| Err(error.to_string()));
        let (listener, file) = bound.map_err(fail)?;
        let listener = UnixListener::from_std(listener).map_err(|error| fail(error.to_string()))?;
        Ok((Self { path, file }, listener))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its file is still there: cleaners of temporary files take those of the living, too.
    pub(crate) async fn is_there(&self) -> bool {
        let (path, file) = (self.path.clone(), self.file);
        spawn_blocking(move || FileIdentity::of(&path).is_ok_and(|found| found == file)).await.unwrap_or(true)
    }

    /// Takes its file away, unless another one lies there by now.
    pub(crate) async fn remove(self) {
        if self.is_there().await {
            let _ = spawn_blocking(move || fs::remove_file(&self.path)).await;
        }
    }
}

fn bind(path: &Path) -> Result<(std::os::unix::net::UnixListener, FileIdentity), String> {
    let words = |error: io::Error| one_line(error, SHOWN_BYTES);
    clear_the_way(path)?;
    // Made under another name and moved: under its own it is only ever one that listens, or one of a dead process.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{:x}", fastrand::u32(..)));
    let unfinished = PathBuf::from(unfinished);
    let listener = (|| {
        let listener = std::os::unix::net::UnixListener::bind(ShortAddress::of(&unfinished)?.path())?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        let file = FileIdentity::of(&unfinished)?;
        fs::rename(&unfinished, path)?;
        Ok((listener, file))
    })();
    listener.map_err(|error: io::Error| {
        let _ = fs::remove_file(&unfinished);
        words(error)
    })
}

/// Whether somebody listens. Never waits: a node that hangs does not accept.
fn knock(path: &Path) -> io::Result<()> {
    let address = ShortAddress::of(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(address.path())?) {
        // So many wait already.
        Ok(()) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes a socket that nobody listens on.
fn clear_the_way(path: &Path) -> Result<(), String> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(one_line(error, SHOWN_BYTES)),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err("something else than a socket lies there; name another path (CONTROL_SOCKET)".to_owned());
    }
    match knock(path) {
        Ok(()) => Err("another node listens there; name another path (CONTROL_SOCKET)".to_owned()),
        // Nobody will ever listen there again.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| one_line(error, SHOWN_BYTES))
        }
        Err(error) => Err(one_line(error, SHOWN_BYTES)),
    }
}
