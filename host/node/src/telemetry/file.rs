//! The file of the log: appended to, and moved aside when it is large enough. `LOG_FILE` becomes `LOG_FILE.1`, that one
//! `LOG_FILE.2`, and the oldest goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use posemesh_files::open_regular_with;
use posemesh_text::one_line;

/// The longest path that is shown, in bytes.
const MAX_SHOWN: usize = 400;

/// Where the log goes instead of standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file; a new one is readable by this user alone.
    pub path: PathBuf,
    /// The size at which it is moved aside, in bytes.
    pub max_bytes: u64,
    /// How many files are kept beside it.
    pub kept: u32,
}

/// The open file. Each write is a line, or what is left of one.
#[derive(Debug)]
pub(super) struct RotatingFile {
    settings: LogFile,
    file: File,
    written: u64,
    /// Where it is tried again after the file could not be moved aside: lines go on in the same file until then.
    full_at: u64,
}

impl RotatingFile {
    /// Opens the file to be appended to.
    ///
    /// # Errors
    /// When that is not possible, or it is no regular file.
    pub(super) fn open(settings: LogFile) -> io::Result<Self> {
        let file = open(&settings.path)?;
        let written = file.metadata()?.len();
        let full_at = settings.max_bytes;
        Ok(Self { settings, file, written, full_at })
    }

    /// Moves the file aside if these bytes would make it too large; takes a new one if somebody else has moved it. If
    /// neither can be done, lines go on where they went: a log that grows is better than none.
    fn make_room(&mut self, bytes: u64) {
        let is_full = self.written > 0 && self.written.saturating_add(bytes) > self.full_at;
        if !is_full && self.is_in_place() {
            return;
        }
        let moved = if is_full && self.is_in_place() { self.rotate() } else { Ok(()) };
        match moved.and_then(|()| Self::open(self.settings.clone())) {
            Ok(anew) => *self = anew,
            Err(error) => {
                let path = one_line(self.settings.path.display(), MAX_SHOWN);
                let text = format!(
                    "{path} is full and can't be moved aside ({error}); it goes on in the same file: let this user write to its \
                     folder, and remove what lies at the names beside it\n"
                );
                // If this fails, so does the line that follows, and is counted.
                let _ = self.file.write_all(text.as_bytes());
                self.written = self.written.saturating_add(text.len() as u64);
                self.full_at = self.written.saturating_add(self.settings.max_bytes);
            }
        }
    }

    fn rotate(&self) -> io::Result<()> {
        let LogFile { path, kept, .. } = &self.settings;
        if *kept == 0 {
            return fs::remove_file(path);
        }
        // From the oldest on: each takes the place of one that has moved already.
        for number in (1..*kept).rev() {
            match fs::rename(beside(path, number), beside(path, number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, beside(path, 1))
    }

    fn is_in_place(&self) -> bool {
        let (Ok(open), Ok(there)) = (self.file.metadata(), fs::metadata(&self.settings.path)) else {
            return false;
        };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.make_room(bytes.len() as u64);
        let written = self.file.write(bytes)?;
        self.written = self.written.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    open_regular_with(path, OpenOptions::new().append(true).create(true).mode(0o600))
}

fn beside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_file_that_is_full_is_moved_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        fs::write(beside(&path, 3), "not ours").unwrap();
        let settings = LogFile { path: path.clone(), max_bytes: 20, kept: 2 };
        let mut file = RotatingFile::open(settings.clone()).unwrap();
        for line in
            ["first line\n", "second line\n", "third\n", "fourth line\n", "a line longer than any file\n"]
        {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(text(&path), "a line longer than any file\n");
        assert_eq!(text(&beside(&path, 1)), "fourth line\n");
        assert_eq!(text(&beside(&path, 2)), "second line\nthird\n");
        assert_eq!(text(&beside(&path, 3)), "not ours", "no more than the two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        let mut file = RotatingFile::open(settings).unwrap();
        file.write_all(b"x\n").unwrap();
        assert_eq!(text(&path), "x\n", "what was there at the start counts");
    }

    #[test]
    fn a_file_that_can_not_be_moved_aside_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        fs::create_dir(beside(&path, 1)).unwrap();
        fs::write(beside(&path, 1).join("x"), "").unwrap();
        let mut file = RotatingFile::open(LogFile { path: path.clone(), max_bytes: 200, kept: 1 }).unwrap();
        for number in 0..60 {
            file.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        let all = text(&path);
        assert!((0..60).all(|number| all.contains(&format!("line {number}\n"))), "{all}");
        let told = all.matches("can't be moved aside").count();
        assert!((1..8).contains(&told), "once for each time that it would be full: {all}");
        fs::remove_dir_all(beside(&path, 1)).unwrap();
        let all = all.len();
        for _ in 0..60 {
            file.write_all(b"later\n").unwrap();
        }
        assert!(beside(&path, 1).is_file() && text(&path).len() <= 200 && all > 200, "it heals");
    }

    #[test]
    fn a_file_that_somebody_else_moved_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let mut file = RotatingFile::open(LogFile { path: path.clone(), max_bytes: 1000, kept: 1 }).unwrap();
        file.write_all(b"one\n").unwrap();
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(text(&path), "two\n");
        assert!(RotatingFile::open(LogFile { path: dir.path().into(), max_bytes: 1, kept: 1 }).is_err());
    }
}
