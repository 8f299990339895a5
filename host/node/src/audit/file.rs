//! The file of the audit log: appended to and never read, made anew when somebody has moved it away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use posemesh_files::open_regular_with;
use posemesh_text::one_line;

/// How much of a path is shown.
const SHOWN_BYTES: usize = 400;

/// Why there is no audit log as asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "opening AUDIT_LOG {}: {error}; it takes the path of a file in a folder that is there and that the node may write to, \
     or `off`", one_line(path.display(), SHOWN_BYTES)
)]
pub(crate) struct AuditError {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// Takes whole lines.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    /// Whether the last write ended within a line.
    mid_line: bool,
}

impl AuditFile {
    /// Opens the file to be appended to; a new one is this user's alone.
    pub(super) fn open(path: PathBuf) -> Result<Self, AuditError> {
        match open(&path) {
            Ok(file) => Ok(Self { path, file, mid_line: false }),
            Err(error) => Err(AuditError { path, error }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When it could not be written whole, or not at all.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        if !self.is_in_place() {
            // Rotated away: the lines from here on are another file's. What was begun in the old one stays there.
            self.file = open(&self.path)?;
            self.mid_line = false;
        }
        if std::mem::take(&mut self.mid_line) {
            self.put(b"\n")?;
        }
        self.put(line.as_bytes())
    }

    /// One call of the system a line, as a rule: lines of several processes do not mix then.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.mid_line |= bytes.len() < whole;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn is_in_place(&self) -> bool {
        let (Ok(open), Ok(there)) = (self.file.metadata(), std::fs::metadata(&self.path)) else {
            return false;
        };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
}

fn open(path: &Path) -> io::Result<File> {
    open_regular_with(path, OpenOptions::new().append(true).create(true).mode(0o600))
}
