//! Files that are this user's alone: what the node keeps for itself and believes when it reads it again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::regular::not_regular;

/// Opens a file to be read, and to have its times set, that nobody but this user and root can have written: a regular one,
/// not reached by a link, under this one name, of this user, closed to group and others. Never waits.
///
/// # Errors
/// When it is not there, or is another kind of file; the text says what is wrong with it.
pub fn open_private(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match path.symlink_metadata() {
        Ok(found) if !found.is_file() => not_regular(found.file_type()),
        _ => error,
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(not_regular(found.file_type()));
    }
    let us = rustix::process::geteuid().as_raw();
    let refused = |what: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    if found.uid() != us {
        return refused(format!("it belongs to user {}, and this process is user {us}", found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        return refused(format!("it is open to others (mode {:04o})", found.mode() & 0o7777));
    }
    // Somebody who may not read a file can still give it a second name.
    if found.nlink() != 1 {
        return refused(format!("it has {} names", found.nlink()));
    }
    Ok(file)
}

/// Writes a file that only this user can read: whoever looks sees the old one or all of the new one, even after a power
/// cut. What lay there, a link included, is replaced.
///
/// # Errors
/// What the file system says.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = unfinished(path, bytes)?;
    unfinished.persist(path).map(drop).map_err(|error| error.error)
}

/// As [`write_private`], unless something lies there already.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] then; else what the file system says.
pub fn write_private_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = unfinished(path, bytes)?;
    unfinished.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

fn unfinished(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().ok_or_else(|| io::Error::other("it is no file in a folder"))?;
    let private = std::fs::Permissions::from_mode(0o600);
    let mut file = tempfile::Builder::new().prefix(".unfinished-").permissions(private).tempfile_in(dir)?;
    file.write_all(bytes)?;
    // Before the rename, so that after a power cut the final name does not stand for a file without its bytes.
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_files_that_nobody_else_can_have_written_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let why = |name: &str| open_private(&at(name)).unwrap_err().to_string();
        write_private(&at("own"), b"text").unwrap();
        let mut text = String::new();
        open_private(&at("own")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        symlink(at("own"), at("link")).unwrap();
        assert!(why("link").contains("a link"), "{}", why("link"));
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(why("fifo").contains("a FIFO"), "{}", why("fifo"));
        fs::set_permissions(at("own"), Permissions::from_mode(0o640)).unwrap();
        assert!(why("own").contains("mode 0640"), "{}", why("own"));
        write_private(&at("own"), b"anew").unwrap();
        fs::hard_link(at("own"), at("second")).unwrap();
        assert!(why("own").contains("2 names"), "{}", why("own"));
        // Only root can give files away.
        write_private(&at("theirs"), b"").unwrap();
        if std::os::unix::fs::chown(at("theirs"), Some(12_345), None).is_ok() {
            assert!(why("theirs").contains("user 12345"), "{}", why("theirs"));
        }
    }

    #[test]
    fn what_lies_there_is_replaced_or_left_as_it_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &path).unwrap();
        let there = write_private_new(&path, b"ours").unwrap_err();
        assert_eq!(there.kind(), io::ErrorKind::AlreadyExists);
        write_private(&path, b"ours").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs", "nothing is written through a link");
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing unfinished is left");
    }
}
