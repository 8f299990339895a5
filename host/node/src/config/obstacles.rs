//! What can't work on this machine, though it is well-formed: a folder that is not there, a file that can't be written,
//! an address of another machine. Nothing is made or changed to find out.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use posemesh_files::kind_name;
use posemesh_text::one_line;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::paths::Paths;

/// How much of a path or an error is shown, in bytes.
const SHOWN_BYTES: usize = 400;

/// A setting that can't work on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The variable.
    pub variable: &'static str,
    /// What it holds, fit for a terminal.
    pub value: String,
    /// Why it can't work.
    pub what: String,
    /// What helps.
    pub cure: &'static str,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: {}; {}", self.variable, self.value, self.what, self.cure)
    }
}

/// Why something can't work, and what helps.
type Fault = (String, &'static str);

/// Everything that can't work of these paths, files and addresses. Looks at the file system and at the
/// addresses of this machine, so it may block.
pub(super) fn find(
    paths: &Paths,
    data: Option<&Path>,
    files: [(&'static str, Option<&Path>); 2],
    addresses: [(&'static str, Option<SocketAddr>); 2],
) -> Vec<Obstacle> {
    let folders = [
        ("PLUGINS_DIR", paths.plugins.as_path(), runners(&paths.plugins)),
        ("CACHE_DIR", &paths.cache, folder(&paths.cache)),
        ("WORK_DIR", &paths.work, folder(&paths.work).or_else(|| of_another(&paths.work))),
    ];
    let files = [("AUDIT_LOG", paths.audit.as_deref())].into_iter().chain(files);
    let files = files.filter_map(|(name, path)| Some((name, path?)));
    let fault = |name, path: &Path| match name {
        // A file of its own kind, which is made anew in any case.
        "CONTROL_SOCKET" if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) => None,
        "LOG_FILE" => file(path).or_else(|| rotated(path)),
        _ => file(path),
    };
    let data = data.map(|path| ("DATA_DIR", path, folder(path).or_else(|| of_another(path))));
    let of_paths =
        folders.into_iter().chain(data).chain(files.map(|(name, path)| (name, path, fault(name, path))));
    let of_paths = of_paths.filter_map(|(variable, path, fault)| {
        let (what, cure) = fault?;
        Some(Obstacle { variable, value: one_line(path.display(), SHOWN_BYTES), what, cure })
    });
    let of_addresses = addresses.into_iter().filter_map(|(variable, addr)| {
        let addr = addr?;
        let (what, cure) = foreign(addr)?;
        Some(Obstacle { variable, value: addr.to_string(), what, cure })
    });
    of_paths.chain(of_addresses).collect()
}

/// What is wrong with the folder of runners, which the node does not make.
fn runners(path: &Path) -> Option<Fault> {
    const CURE: &str = "make it, or name the folder with the runners, NAME.wasm";
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(("there is no such folder".to_owned(), CURE))
        }
        Err(error) => Some((format!("it can't be looked at: {}", shown(&error)), CURE)),
        Ok(found) if !found.is_dir() => {
            Some((format!("it is {}, not a folder", kind_name(found.file_type())), CURE))
        }
        Ok(_) => fs::read_dir(path).err().map(|error| {
            (format!("it can't be read: {}", shown(&error)), "let this user read it, `chmod u+rx`")
        }),
    }
}

/// What is wrong with a folder of the node's own, which it makes if it is not there.
fn folder(path: &Path) -> Option<Fault> {
    const CURE: &str = "name a folder that this user may write to";
    let absolute = std::path::absolute(path).ok()?;
    for place in absolute.ancestors() {
        let is_end = place == absolute;
        let at = one_line(place.display(), SHOWN_BYTES);
        let what = match fs::metadata(place) {
            // Looked for further up; of a folder below a file the system says that it is no folder.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) => Some(format!("{at} can't be looked at: {}", shown(&error))),
            Ok(found) if !found.is_dir() => {
                let kind = kind_name(found.file_type());
                Some(match is_end {
                    true => format!("it is {kind}, not a folder"),
                    false => format!("it can't be made, since {at} is {kind}"),
                })
            }
            Ok(_) => may_write(place).err().map(|error| match is_end {
                true => format!("this user may not write to it ({error})"),
                false => format!("it can't be made: this user may not write to {at} ({error})"),
            }),
        };
        return what.map(|what| (what, CURE));
    }
    None
}

/// A folder of another user, who could replace what the node keeps in it.
fn of_another(path: &Path) -> Option<Fault> {
    let owner = fs::metadata(path).ok()?.uid();
    let us = rustix::process::geteuid().as_raw();
    (owner != us && owner != 0).then(|| {
        let what = format!("it belongs to user {owner}, and this process is user {us}");
        (what, "name a folder of this user")
    })
}

/// What keeps a file from being appended to, which is made if it is not there.
fn file(path: &Path) -> Option<Fault> {
    const CURE: &str = "name a file in a folder that is there and that this user may write to, or `off`";
    let what = match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Some(format!("it is {}, not a regular file", kind_name(found.file_type())))
        }
        Ok(_) => accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS)
            .err()
            .map(|error| format!("this user may not write to it ({error})")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let at = one_line(parent.display(), SHOWN_BYTES);
            match fs::metadata(parent) {
                Ok(_) => {
                    may_write(parent).err().map(|error| format!("this user may not write to {at} ({error})"))
                }
                Err(_) => Some(format!("there is no folder {at}")),
            }
        }
        Err(error) => Some(format!("it can't be opened: {}", shown(&error))),
    };
    what.map(|what| (what, CURE))
}

/// What keeps a file from being moved aside.
fn rotated(path: &Path) -> Option<Fault> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    may_write(parent).err().map(|error| {
        let at = one_line(parent.display(), SHOWN_BYTES);
        (
            format!("it can't be moved aside when it is full: this user may not write to {at} ({error})"),
            "let this user write to the folder, or name a file in one of its own",
        )
    })
}

fn may_write(folder: &Path) -> rustix::io::Result<()> {
    accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
}

/// Whether an address is of no interface of this machine. Asked with a port that the kernel chooses: the port itself may
/// be taken by this very node.
fn foreign(addr: SocketAddr) -> Option<Fault> {
    match TcpListener::bind(SocketAddr::new(addr.ip(), 0)) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Some((
            format!("{} is no address of this machine", addr.ip()),
            "127.0.0.1 is for this machine alone, 0.0.0.0 for all its networks",
        )),
        // Whatever else there may be says nothing about the address.
        _ => None,
    }
}

fn shown(error: &io::Error) -> String {
    one_line(error, SHOWN_BYTES)
}
