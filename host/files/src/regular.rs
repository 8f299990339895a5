//! Files that are opened only if they are regular ones.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file, or a link to one, to be read. Never waits for a writer, as opening a FIFO does.
///
/// # Errors
/// When it can't be opened, or is not a regular file; the text says what it is instead.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(path, OpenOptions::new().read(true))
}

/// As [`open_regular`], with these options; custom flags among them are replaced.
///
/// # Errors
/// As [`open_regular`].
pub fn open_regular_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without blocking: whoever opens a FIFO or some devices waits for somebody at the other end. And a terminal must
    // not become the node's own.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| match std::fs::metadata(path) {
        // A socket can't be opened at all, and a FIFO not to be written: say what it is, not how that failed.
        Ok(found) if !found.is_file() => not_regular(found.file_type()),
        _ => error,
    })?;
    // Asked of the open file: something else could have been put in its place after a look at the path.
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(not_regular(kind)) }
}

/// What a file is, in words.
pub fn kind_name(kind: FileType) -> &'static str {
    if kind.is_file() {
        "a regular file"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something unknown"
    }
}

pub(crate) fn not_regular(kind: FileType) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {}, not a regular file", kind_name(kind)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_else_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        symlink(at("file"), at("link")).unwrap();
        for name in ["file", "link"] {
            let mut text = String::new();
            open_regular(&at(name)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "text", "{name}");
        }
        mknodat(CWD, at("fifo"), Kind::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        for (name, want) in [
            ("fifo", "a FIFO"),
            ("socket", "a socket"),
            ("folder", "a folder"),
            ("device", "a device"),
            ("loop", "symbolic links"),
            ("dangling", "No such file"),
        ] {
            let error = open_regular(&at(name)).unwrap_err().to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
        let to_write = open_regular_with(&at("fifo"), OpenOptions::new().write(true)).unwrap_err();
        assert!(to_write.to_string().contains("a FIFO"), "{to_write}");
    }
}
