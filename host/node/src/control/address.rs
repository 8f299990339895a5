//! Where a socket is, and how it is named to the kernel, which takes 107 bytes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The longest path that an address of a socket holds, in bytes.
const LONGEST: usize = 107;

/// Where a node has its socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SocketPlace {
    /// In the folder of its process, below `WORK_DIR`.
    #[default]
    Own,
    /// At this path.
    At(PathBuf),
    /// It has none.
    Off,
}

/// A path of a socket, as short as the kernel wants it: one that is too long is reached by its folder's descriptor, which
/// this holds.
#[derive(Debug)]
pub struct ShortAddress {
    path: PathBuf,
    _folder: Option<File>,
}

impl ShortAddress {
    /// The address of a path. The socket need not be there; its folder has to.
    ///
    /// # Errors
    /// When the path has no name, or its folder can't be opened.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has no folder or no name"));
        };
        let flags = (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC).bits().cast_signed();
        let folder = File::options().read(true).custom_flags(flags).open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        if path.as_os_str().as_bytes().len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name of the socket is too long"));
        }
        Ok(Self { path, _folder: Some(folder) })
    }

    /// The path to connect to, as long as this lives.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
