//! Writes files that are in this program into a folder of the user's, and never over what the user wrote.

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// Where, below the folder.
    pub(crate) path: PathBuf,
    pub(crate) bytes: Cow<'static, [u8]>,
}

impl NewFile {
    /// A file of text.
    pub(crate) fn text(path: impl Into<PathBuf>, text: impl Into<Cow<'static, str>>) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { path: path.into(), bytes }
    }
}

/// Writes all of them, or, if one would replace a file that differs, none. `replace` writes all the same.
///
/// # Errors
/// With the file that is in the way, or that can't be written.
pub(crate) fn write_all(folder: &Path, files: &[NewFile], replace: bool) -> Result<()> {
    let mut missing = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        match fs::read(&path) {
            Ok(bytes) if bytes == *file.bytes => {}
            Ok(_) if replace => missing.push((path, file)),
            Ok(_) => bail!(
                "{} exists and differs; nothing was written. Move it away, or replace it with --force",
                path.display()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push((path, file)),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }
    for (path, file) in missing {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making the folder {}", parent.display()))?;
        }
        write(&path, &file.bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Writes a new file in place of what differs; never through a link.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_file()) {
        fs::remove_file(path)?;
    }
    OpenOptions::new().create_new(true).write(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_replaced_only_when_told_and_nothing_is_written_by_halves() {
        let dir = tempfile::tempdir().unwrap();
        let files = [NewFile::text("a/one.txt", "1"), NewFile::text("two.txt", "2")];
        fs::write(dir.path().join("two.txt"), "mine").unwrap();

        let error = write_all(dir.path(), &files, false).unwrap_err().to_string();
        assert!(error.contains("two.txt exists and differs") && error.contains("--force"), "{error}");
        assert!(!dir.path().join("a").exists(), "one file was written");

        write_all(dir.path(), &files, true).unwrap();
        write_all(dir.path(), &files, false).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a/one.txt")).unwrap(), "1");
        assert_eq!(fs::read_to_string(dir.path().join("two.txt")).unwrap(), "2");
    }
}
