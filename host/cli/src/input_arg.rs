//! Files that are inputs, as arguments of commands.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use posemesh_files::kind_name;

/// Checks that a path is a file that can be an input, before anything is begun.
///
/// # Errors
/// When there is none, or it is something else; the text says what it is and what helps.
pub(crate) fn check_input(path: &Path) -> Result<()> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("there is no such file"),
        Err(error) => return Err(error).context("looking at it"),
    };
    if found.is_dir() {
        bail!("it is a folder; name the files in it, each by an --input of its own");
    }
    if !found.is_file() {
        // What a pipe or a device has is not there twice, and an input may be read again.
        bail!(
            "it is {}, and an input is a regular file; write what it has to one first",
            kind_name(found.file_type())
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_called_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        check_input(&file).unwrap();
        for (path, said) in [
            (dir.path(), "it is a folder; name the files in it"),
            (Path::new("/dev/zero"), "it is a device, and an input is a regular file"),
            (&dir.path().join("nothing"), "there is no such file"),
            (&file.join("below"), "looking at it"),
        ] {
            let error = format!("{:#}", check_input(path).unwrap_err());
            assert!(error.contains(said), "{}: {error}", path.display());
        }
    }
}
