//! Files that are inputs, as arguments of commands: `--input [NAME=]FILE`, in each command the same.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use posemesh_files::kind_name;
use posemesh_text::one_line;

/// How much of an argument is shown, in bytes.
const SHOWN_BYTES: usize = 400;

/// One input: a file, or several that are its parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// What stands before `=`, or the file's name.
    pub(crate) name: String,
    /// At least one.
    pub(crate) parts: Vec<PathBuf>,
}

/// Reads `[NAME=]FILE`, each: the inputs in the order given. Files with the same name before `=` are the parts of one input.
/// What has a `/` before its first `=` is a path.
///
/// # Errors
/// When a file can't be an input, a name is missing, or two inputs have the same.
pub(crate) fn parse_inputs(arguments: &[String]) -> Result<Vec<Input>> {
    let mut inputs: Vec<(bool, Input)> = Vec::new();
    for argument in arguments {
        let shown = || format!("--input {}", one_line(argument, SHOWN_BYTES));
        let named = argument.split_once('=').filter(|(name, _)| !name.contains('/'));
        let path = PathBuf::from(named.map_or(argument.as_str(), |(_, path)| path));
        check_input(&path).with_context(shown)?;
        let name = match named {
            Some(("", _)) => {
                bail!("{}: there is no name before `=`; a file of that name is ./{argument}", shown())
            }
            Some((name, _)) => name.to_owned(),
            // Whatever is a file has one.
            None => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        match inputs.iter_mut().find(|(_, input)| input.name == name) {
            // Whoever names both means parts.
            Some((true, input)) if named.is_some() => input.parts.push(path),
            Some(_) => bail!(
                "{}: two inputs have the name {}; name one as NAME=FILE, or both with the same NAME if they are the parts of \
                 one input",
                shown(),
                one_line(&name, SHOWN_BYTES)
            ),
            None => inputs.push((named.is_some(), Input { name, parts: vec![path] })),
        }
    }
    Ok(inputs.into_iter().map(|(_, input)| input).collect())
}

/// Checks that a path is a file that can be an input, before anything is begun.
///
/// # Errors
/// When there is none, or it is something else; the text says what it is and what helps.
fn check_input(path: &Path) -> Result<()> {
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

    #[test]
    fn inputs_are_named_by_their_file_or_before_the_equals_sign() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["scan.ply", "a=b.csv"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let path = |name: &str| dir.path().join(name);
        let text = |name: &str| path(name).display().to_string();
        let parsed = |arguments: &[String]| parse_inputs(arguments).unwrap();
        let input = |name: &str, parts: Vec<PathBuf>| Input { name: name.to_owned(), parts };

        let (scan, odd) = (text("scan.ply"), text("a=b.csv"));
        assert_eq!(
            parsed(&[scan.clone(), format!("second={scan}"), odd]),
            [
                input("scan.ply", vec![path("scan.ply")]),
                input("second", vec![path("scan.ply")]),
                input("a=b.csv", vec![path("a=b.csv")])
            ]
        );
        let twice = [format!("scan={scan}"), format!("scan={scan}")];
        assert_eq!(parsed(&twice), [input("scan", vec![path("scan.ply"), path("scan.ply")])]);

        let named = format!("scan.ply={scan}");
        for (arguments, said) in [
            (vec![scan.clone(), scan.clone()], "two inputs have the name scan.ply"),
            (vec![scan.clone(), named.clone()], "two inputs have the name scan.ply"),
            (vec![named, scan.clone()], "two inputs have the name scan.ply"),
            (vec![format!("={scan}")], "there is no name before `=`"),
            (vec!["nothing.ply".to_owned()], "--input nothing.ply: there is no such file"),
            (vec!["x=".to_owned()], "--input x=: there is no such file"),
            (vec!["..".to_owned()], "--input ..: it is a folder; name the files in it"),
        ] {
            let error = format!("{:#}", parse_inputs(&arguments).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
