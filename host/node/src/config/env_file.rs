//! `.env` files: one variable a line, and its value as it stands there.
//!
//! A line is blank, a comment (its first character is `#`), or `NAME=value`, with `export ` before it if wanted.
//! The value is everything behind the first `=`, trimmed; one pair of quotes around it is taken off. Nothing is
//! expanded, nothing is escaped, and a `#` behind a value belongs to the value: secrets have any characters.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use posemesh_text::one_line;
use zeroize::Zeroizing;

/// The largest file that is read. A setting has a few hundred bytes at most.
const MAX_BYTES: u64 = 1 << 20;
/// How much of a name an error shows.
const SHOWN_NAME_BYTES: usize = 64;

/// Why a `.env` file was not read. Quotes no value of it.
#[derive(Debug, thiserror::Error)]
#[error("read the environment file {}: {what}", one_line(path.display(), 4096))]
pub struct EnvFileError {
    path: PathBuf,
    what: String,
}

/// A variable, and its value, which may be a secret.
pub(super) type Assignment = (String, Zeroizing<String>);

/// Reads a file. The last of several lines with one name counts, as in a shell.
///
/// # Errors
/// When it can't be read, is no regular file, is too large, or has a line that is none of the above.
pub(super) fn read(path: &Path) -> Result<Vec<Assignment>, EnvFileError> {
    let fail = |what: String| EnvFileError { path: path.to_owned(), what };
    let bytes = read_bytes(path).map_err(fail)?;
    parse(&bytes).map_err(fail)
}

fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let words = |error: io::Error| error.to_string();
    let mut options = OpenOptions::new();
    options.read(true);
    // A FIFO without a writer must not hold up the start.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nonblocking());
    let file = options.open(path).map_err(words)?;
    if !file.metadata().map_err(words)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn nonblocking() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Result<Vec<Assignment>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut assignments = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = str::from_utf8(line).map_err(|_| match line.iter().position(|byte| *byte == b'=') {
            Some(end) => {
                let name = String::from_utf8_lossy(line.get(..end).unwrap_or_default());
                format!("line {number} ({}) is not UTF-8", one_line(name.trim(), SHOWN_NAME_BYTES))
            }
            None => format!("line {number} is not UTF-8"),
        })?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // What stands on a line without `=` may be the rest of a secret: it is not shown.
        let Some((left, value)) = line.split_once('=') else {
            return Err(format!("line {number} is not NAME=value"));
        };
        let left = left.trim_end();
        let exported = left.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
        let name = exported.unwrap_or(left).trim_start();
        if !is_name(name) {
            return Err(format!(
                "line {number} is not NAME=value: a name has letters, digits and `_` and does not begin with a digit"
            ));
        }
        let value = unquoted(value.trim());
        if value.contains('\0') {
            return Err(format!(
                "line {number} ({}): the value has a zero byte",
                one_line(name, SHOWN_NAME_BYTES)
            ));
        }
        assignments.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }
    Ok(assignments)
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// The value without the pair of quotes around it, if there is one.
fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap().into_iter().map(|(name, value)| (name, value.to_string())).collect()
    }

    #[test]
    fn env_file_values_arrive_as_they_were_given() {
        for (line, value) in [
            ("A=ab$cd9xy", "ab$cd9xy"),
            ("A=a$HOMEb#c", "a$HOMEb#c"),
            ("A=${HOME}", "${HOME}"),
            ("A=$(id) `id`", "$(id) `id`"),
            ("A=a b  c", "a b  c"),
            ("A=a # no comment", "a # no comment"),
            ("A=#a", "#a"),
            (r"A=a\nb\\c\", r"a\nb\\c\"),
            ("A=a=b==", "a=b=="),
            ("A=it's", "it's"),
            ("A=\"it's\"", "it's"),
            ("A='say \"x\"'", "say \"x\""),
            ("A=\"a\" # b", "\"a\" # b"),
            ("A=\"\"a\"\"", "\"a\""),
            ("A=\"a", "\"a"),
            ("A=\"", "\""),
            ("A=\"\"", ""),
            ("A=' a '", " a "),
            ("A=", ""),
            ("A", "-"),
            ("  export\tA = b\t", "b"),
            ("A=ключ🔑", "ключ🔑"),
            ("A=b\r", "b"),
            ("\u{feff}A=b", "b"),
        ] {
            match parse(line.as_bytes()) {
                Ok(found) => assert_eq!(found.first().unwrap().1.as_str(), value, "{line:?}"),
                Err(what) => assert_eq!((what.as_str(), value), ("line 1 is not NAME=value", "-")),
            }
        }
        let file = "# comment\r\n\r\n  # B=1\r\nB=2\r\nexport=3\r\nB=4";
        assert_eq!(
            values(file),
            [("B", "2"), ("export", "3"), ("B", "4")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn a_line_of_an_env_file_that_is_wrong_is_named_and_not_quoted() {
        for (text, said) in [
            (&b"A=1\n\nREG_SECRET hunter2"[..], "line 3 is not NAME=value"),
            (b"A=1\nhunter2 x=3", "line 2 is not NAME=value: a name has"),
            (b"=hunter2", "line 1 is not NAME=value: a name has"),
            (b"1A=hunter2", "line 1 is not NAME=value: a name has"),
            (b"A=1\nREG_SECRET=hunter2\xff", "line 2 (REG_SECRET) is not UTF-8"),
            (b"REG_SECRET=hunter2\0", "line 1 (REG_SECRET): the value has a zero byte"),
        ] {
            let what = parse(text).unwrap_err();
            assert!(what.starts_with(said), "expected `{said}` in `{what}`");
            assert!(!what.contains("hunter2"), "{what}");
        }
    }

    #[test]
    fn an_env_file_that_is_no_file_or_too_large_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| read(path).unwrap_err().to_string();
        assert!(said(dir.path()).contains("not a regular file"), "{}", said(dir.path()));
        #[cfg(unix)]
        {
            let fifo = dir.path().join("fifo");
            assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
            assert!(said(&fifo).contains("not a regular file"), "{}", said(&fifo));
        }
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
        assert!(said(&large).contains("more than 1048576 bytes"), "{}", said(&large));
        std::fs::write(&large, vec![b'#'; MAX_BYTES as usize]).unwrap();
        assert!(read(&large).unwrap().is_empty());
        let missing = said(&dir.path().join("missing"));
        assert!(
            missing.starts_with("read the environment file ") && missing.contains("missing: "),
            "{missing}"
        );
    }
}
