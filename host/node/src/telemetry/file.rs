//! The file of the log: appended to, and moved aside when it is large enough. `LOG_FILE` becomes `LOG_FILE.1`, that one
//! `LOG_FILE.2`, and the oldest goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use posemesh_files::open_regular_with;
use posemesh_text::one_line;
use serde_json::Map;

use super::format::{LogFormat, line};

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
    format: LogFormat,
    file: File,
    written: u64,
    /// Where it is tried again after the file could not be moved aside: lines go on in the same file until then.
    full_at: u64,
    /// What is wrong with the file, once the log has said so.
    told: Option<Trouble>,
    /// Whether the last line that was written is not whole: nothing else belongs into it.
    mid_line: bool,
    /// Whether that is a line of the file's own, of which nobody will write the rest.
    notice_cut: bool,
}

/// Why lines go where they should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The file is full and can't be moved aside.
    Full,
    /// The file was moved or removed, and no new one can be opened.
    Gone,
}

impl RotatingFile {
    /// Opens the file to be appended to.
    ///
    /// # Errors
    /// When that is not possible, or it is no regular file.
    pub(super) fn open(settings: LogFile, format: LogFormat) -> io::Result<Self> {
        let file = open(&settings.path)?;
        let written = file.metadata()?.len();
        let full_at = settings.max_bytes;
        // Whoever wrote there last may have been cut off.
        let notice_cut = written > 0 && !ends_with_a_line(&settings.path);
        Ok(Self { settings, format, file, written, full_at, told: None, mid_line: false, notice_cut })
    }

    /// Moves the file aside if these bytes would make it too large; takes a new one if somebody else has moved it. If
    /// neither can be done, lines go on where they went: a log that grows is better than none.
    fn make_room(&mut self, bytes: u64) {
        let in_place = self.is_in_place();
        let is_full = self.written > 0 && self.written.saturating_add(bytes) > self.full_at;
        if in_place && !is_full {
            return;
        }
        let moved = if in_place { self.rotate() } else { Ok(()) };
        match moved.and_then(|()| Self::open(self.settings.clone(), self.format)) {
            Ok(anew) => *self = anew,
            Err(error) => {
                // Not by what was tried: it may be the new file that can't be opened after the old one was moved.
                let trouble = if self.is_in_place() { Trouble::Full } else { Trouble::Gone };
                self.full_at = self.written.saturating_add(self.settings.max_bytes);
                self.tell(trouble, &error);
            }
        }
    }

    /// Says once what is wrong, until it is well again or something else is.
    fn tell(&mut self, trouble: Trouble, error: &io::Error) {
        if self.told == Some(trouble) {
            return;
        }
        let path = one_line(self.settings.path.display(), MAX_SHOWN);
        let text = match trouble {
            Trouble::Full => format!(
                "LOG_FILE {path} is full and can't be moved aside ({error}); it goes on in the same file: let this user write to \
                 its folder, and remove what lies at the names beside it"
            ),
            Trouble::Gone => format!(
                "LOG_FILE {path} was moved or removed, and no new file can be opened there ({error}); the log goes on in the \
                 old one, wherever that is: let this user write to its folder"
            ),
        };
        let notice = line(self.format, "WARN", module_path!(), &text, Map::new());
        let mut rest = notice.as_bytes();
        while !rest.is_empty() {
            match self.put(rest) {
                Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
                // The line that follows fails as well, and is counted.
                _ => {
                    self.notice_cut = self.mid_line;
                    return;
                }
            }
        }
        self.told = Some(trouble);
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written = self.written.saturating_add(written as u64);
        if let Some(last) = bytes.get(..written).and_then(<[u8]>::last) {
            self.mid_line = *last != b'\n';
        }
        Ok(written)
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
        if std::mem::take(&mut self.notice_cut) {
            self.put(b"\n")?;
        }
        if !self.mid_line {
            self.make_room(bytes.len() as u64);
        }
        self.put(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    open_regular_with(path, OpenOptions::new().append(true).create(true).mode(0o600))
}

/// Whether the file ends where a line does, as far as that can be seen.
fn ends_with_a_line(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = open_regular_with(path, OpenOptions::new().read(true))?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(u8::from_ne_bytes(last))
    };
    last().map_or(true, |last| last == b'\n')
}

fn beside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
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
        let mut file = RotatingFile::open(settings.clone(), LogFormat::Text).unwrap();
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
        let mut file = RotatingFile::open(settings, LogFormat::Text).unwrap();
        file.write_all(b"x\n").unwrap();
        assert_eq!(text(&path), "x\n", "what was there at the start counts");
    }

    /// Each line as JSON.
    fn lines(text: &str) -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_that_an_earlier_process_did_not_end_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let settings = LogFile { path: path.clone(), max_bytes: 1 << 20, kept: 1 };
        for (left, expected) in [("", "next\n"), ("whole\n", "whole\nnext\n"), ("{\"cut", "{\"cut\nnext\n")] {
            fs::write(&path, left).unwrap();
            let mut file = RotatingFile::open(settings.clone(), LogFormat::Json).unwrap();
            file.write_all(b"next\n").unwrap();
            assert_eq!(text(&path), expected);
        }
    }

    #[test]
    fn a_file_that_can_not_be_moved_aside_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let block = || {
            fs::create_dir(beside(&path, 1)).unwrap();
            fs::write(beside(&path, 1).join("x"), "").unwrap();
        };
        block();
        let settings = LogFile { path: path.clone(), max_bytes: 400, kept: 1 };
        let mut file = RotatingFile::open(settings, LogFormat::Json).unwrap();
        for number in 0..100 {
            file.write_all(format!("{{\"line\":{number}}}\n").as_bytes()).unwrap();
        }
        let all = text(&path);
        assert_eq!(lines(&all).iter().filter(|line| line["line"].is_u64()).count(), 100, "{all}");
        let told: Vec<_> = lines(&all).into_iter().filter(|line| line["message"].is_string()).collect();
        assert_eq!(told.len(), 1, "once until it heals: {all}");
        let message = told[0]["message"].as_str().unwrap();
        assert!(
            message.contains("is full and can't be moved aside") && told[0]["level"] == "WARN",
            "{message}"
        );
        fs::remove_dir_all(beside(&path, 1)).unwrap();
        for _ in 0..60 {
            file.write_all(b"{}\n").unwrap();
        }
        assert!(beside(&path, 1).is_file() && text(&path).len() <= 400 && all.len() > 400, "it heals");
        fs::remove_file(beside(&path, 1)).unwrap();
        block();
        for _ in 0..300 {
            file.write_all(b"{}\n").unwrap();
        }
        assert_eq!(text(&path).matches("can't be moved aside").count(), 1, "and is told anew");
    }

    #[test]
    fn a_file_that_is_gone_and_can_not_be_made_again_is_told_as_such_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("log");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("node.log");
        let settings = LogFile { path: path.clone(), max_bytes: 1 << 20, kept: 1 };
        let mut file = RotatingFile::open(settings, LogFormat::Json).unwrap();
        let aside = dir.path().join("aside");
        fs::rename(&folder, &aside).unwrap();
        for number in 0..10 {
            file.write_all(format!("{{\"line\":{number}}}\n").as_bytes()).unwrap();
        }
        let told = lines(&text(&aside.join("node.log")));
        assert_eq!(told.len(), 11, "{told:?}");
        let message = told[0]["message"].as_str().unwrap();
        assert!(message.contains("was moved or removed") && !message.contains("full"), "{message}");
        fs::create_dir(&folder).unwrap();
        file.write_all(b"{\"line\":10}\n").unwrap();
        assert_eq!(text(&path), "{\"line\":10}\n", "it heals");
    }

    #[test]
    fn what_is_left_of_a_line_goes_where_its_beginning_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let settings = LogFile { path: path.clone(), max_bytes: 10, kept: 1 };
        let mut file = RotatingFile::open(settings, LogFormat::Json).unwrap();
        for part in ["{\"a\":", "\"a long text\"}\n", "{}\n"] {
            file.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(text(&beside(&path, 1)), "{\"a\":\"a long text\"}\n");
        assert_eq!(text(&path), "{}\n");
    }

    #[test]
    fn a_file_that_somebody_else_moved_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let settings = LogFile { path: path.clone(), max_bytes: 1000, kept: 1 };
        let mut file = RotatingFile::open(settings.clone(), LogFormat::Text).unwrap();
        file.write_all(b"one\n").unwrap();
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(text(&path), "two\n");
        let folder = LogFile { path: dir.path().into(), ..settings };
        assert!(RotatingFile::open(folder, LogFormat::Text).is_err());
    }
}
