//! Writes docs/configuration.md from the node's own table of settings, or checks that it is current.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::node;
use crate::process::Cmd;
use crate::project::Project;

/// The generated document, in the repository.
const DOCUMENT: &str = "docs/configuration.md";

/// Writes the document as the node prints it.
///
/// # Errors
/// If the node can't be built, prints no document, or the file can't be written.
pub(crate) fn write(project: &Project) -> Result<()> {
    let path = project.root.join(DOCUMENT);
    let generated = generate(project, node::build)?;
    if fs::read_to_string(&path).is_ok_and(|old| old == generated) {
        eprintln!("{DOCUMENT} is current");
        return Ok(());
    }
    fs::write(&path, generated).with_context(|| format!("write {}", path.display()))?;
    eprintln!("{DOCUMENT} was written anew");
    Ok(())
}

/// Compares the document with what the node prints that `build` builds.
///
/// # Errors
/// If they differ, or as [`write()`].
pub(crate) fn check(project: &Project, build: impl FnOnce(&Project) -> Result<()>) -> Result<()> {
    let path = project.root.join(DOCUMENT);
    let generated = generate(project, build)?;
    let current = fs::read_to_string(&path)
        .with_context(|| format!("read {DOCUMENT}\n  what helps: `cargo xtask docs` writes it"))?;
    match first_difference(&current, &generated) {
        None => Ok(()),
        Some(line) => bail!(
            "{DOCUMENT} differs from the node's settings at line {line}\n  what helps: `cargo xtask docs`, and \
             commit the file"
        ),
    }
}

/// The document as the node prints it.
fn generate(project: &Project, build: impl FnOnce(&Project) -> Result<()>) -> Result<String> {
    build(project)?;
    let printed = Cmd::new(project.node())
        .args(["config", "markdown"])
        .cure("the node prints the table of its settings by this hidden command")
        .output()?;
    if !printed.starts_with('#') {
        let start: String = printed.chars().take(80).collect();
        bail!("`posemesh-node config markdown` printed no Markdown document: it begins with `{start}`");
    }
    Ok(printed + "\n")
}

/// The number of the first line that is not the same in both.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    // `split`, not `lines`: a missing newline at the end is a difference.
    let same = a.split('\n').zip(b.split('\n')).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_has_a_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("a", "a\n"), Some(2));
        assert_eq!(first_difference("a\r\n", "a\n"), Some(1));
    }
}
