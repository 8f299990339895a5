//! Writes docs/configuration.md and docs/metrics.md from the node's own tables, docs/transcripts.md from golden files of the tests,
//! and the alert rules for Kubernetes from those for Prometheus, or checks that they are current.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::deploy;
use crate::node;
use crate::process::Cmd;
use crate::project::Project;
use crate::transcripts;

/// The generated documents, in the repository, and the hidden commands of the node that print them.
const DOCUMENTS: [(&str, [&str; 2]); 2] =
    [("docs/configuration.md", ["config", "markdown"]), ("docs/metrics.md", ["config", "metrics"])];

/// Writes the documents as the node prints them.
///
/// # Errors
/// If the node can't be built, prints no document, or a file can't be written.
pub(crate) fn write(project: &Project) -> Result<()> {
    // Before the node is built, which takes long.
    for (document, generated) in of_files(project)? {
        put(project, document, &generated)?;
    }
    node::build(project)?;
    for (document, command) in DOCUMENTS {
        put(project, document, &generate(project, command)?)?;
    }
    Ok(())
}

/// What is made of other files, and without the node.
fn of_files(project: &Project) -> Result<[(&'static str, String); 2]> {
    Ok([
        (deploy::PROMETHEUS_RULE, deploy::prometheus_rule(&project.root)?),
        (transcripts::DOCUMENT, transcripts::document(&project.root)?),
    ])
}

/// Writes a file unless it has this text.
fn put(project: &Project, document: &str, generated: &str) -> Result<()> {
    let path = project.root.join(document);
    if fs::read_to_string(&path).is_ok_and(|old| old == generated) {
        eprintln!("{document} is current");
        return Ok(());
    }
    fs::write(&path, generated).with_context(|| format!("write {}", path.display()))?;
    eprintln!("{document} was written anew");
    Ok(())
}

/// Compares the documents with what they are made from: what the node prints that `build` builds, golden files, and the alert rules.
///
/// # Errors
/// If one differs, or as [`write()`].
pub(crate) fn check(project: &Project, build: impl FnOnce(&Project) -> Result<()>) -> Result<()> {
    for (document, generated) in of_files(project)? {
        compare(project, document, &generated)?;
    }
    build(project)?;
    for (document, command) in DOCUMENTS {
        compare(project, document, &generate(project, command)?)?;
    }
    Ok(())
}

/// Fails unless a file has this text.
fn compare(project: &Project, document: &str, generated: &str) -> Result<()> {
    let current = fs::read_to_string(project.root.join(document))
        .with_context(|| format!("read {document}\n  what helps: `cargo xtask docs` writes it"))?;
    if let Some(line) = first_difference(&current, generated) {
        bail!(
            "{document} differs at line {line} from what it is made from\n  what helps: `cargo xtask docs`, and \
             commit the file"
        );
    }
    Ok(())
}

/// A document as the node prints it.
fn generate(project: &Project, command: [&str; 2]) -> Result<String> {
    let printed = Cmd::new(project.node())
        .args(command)
        .cure("the node prints its tables by hidden commands")
        .output()?;
    if !printed.starts_with('#') {
        let start: String = printed.chars().take(80).collect();
        bail!("`posemesh-node {}` printed no Markdown document: it begins with `{start}`", command.join(" "));
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
