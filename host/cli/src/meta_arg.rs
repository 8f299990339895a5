//! Parameters of a task, as an argument of a command.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use posemesh_files::open_regular;
use posemesh_text::one_line;

/// The largest file of parameters, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// How much of a path is shown.
const SHOWN_BYTES: usize = 400;

/// The text of `--meta`: as it is, or that of a file after `@`.
///
/// # Errors
/// When the file can't be read, or is no regular file of text of at most 16 MiB.
pub(crate) fn text(argument: &str) -> Result<String> {
    let Some(path) = argument.strip_prefix('@') else { return Ok(argument.to_owned()) };
    let attempt = || format!("reading --meta {}", one_line(path, SHOWN_BYTES));
    let file = open_regular(Path::new(path)).with_context(attempt)?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(attempt)?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{}: it has more than {MAX_BYTES} bytes", attempt());
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_given_in_so_many_words_or_by_a_regular_file() {
        assert_eq!(text("{\"a\": 1}").unwrap(), "{\"a\": 1}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        assert_eq!(text(&format!("@{}", file.path().display())).unwrap(), "{}");
        for (other, said) in
            [("@/dev/zero", "reading --meta /dev/zero"), ("@/nowhere", "reading --meta /nowhere")]
        {
            let error = format!("{:#}", text(other).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
