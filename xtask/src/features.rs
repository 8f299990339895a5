//! Checks that the node's dependencies get the same features when the node is built alone, as for the demo,
//! and when the whole workspace is, as for the tests.
//!
//! Cargo unites the features of what is built together. Where a test program asks for more of a crate than
//! the node does, that crate and everything above it is built twice, and the way up from the smallest crates
//! leads to wasmtime: minutes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::project::Project;

/// Packages whose features may differ: neither Cranelift nor wasmtime itself is above them, and only a machine
/// that builds both the demo and the tests builds them twice.
const ACCEPTED: [&str; 2] = [
    // The tests control tokio's clock by `test-util`, which the product must not have.
    "tokio",
    // proptest asks for Unicode tables; tracing-subscriber does not.
    "regex-syntax",
];

/// Each package of other people, as `name version`, with the sets of features it is built with. There are two
/// if a build script or procedural macro uses it with other features than the node.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Fails with every package that would be built once more for the tests.
///
/// # Errors
/// If there is one, or cargo can't resolve the dependencies.
pub(crate) fn check(project: &Project) -> Result<()> {
    let alone = tree(project, &["-p", "posemesh-node", "-e", "normal,build"])?;
    let together = tree(project, &["--workspace", "-e", "normal,build,dev"])?;
    let problems = differences(&alone, &together);
    if problems.is_empty() {
        eprintln!("{} packages, the same features for the demo and the tests", alone.len());
        return Ok(());
    }
    bail!(
        "packages that the tests build once more, with other features than the demo:\n{}\n  what helps: name \
         them in host/cli/Cargo.toml with the features of the tests (under [build-dependencies] if a \
         procedural macro uses them)",
        problems.join("\n")
    )
}

/// The packages and features that `cargo tree` prints with `selection`.
fn tree(project: &Project, selection: &[&str]) -> Result<Features> {
    let format = ["--prefix", "none", "--format", "{p}|{f}"];
    Ok(parse(&project.cargo("tree").args(selection).args(format).output()?))
}

fn parse(printed: &str) -> Features {
    let mut features = Features::new();
    for line in printed.lines() {
        let Some((package, given)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        let package = package.trim_end_matches(" (proc-macro)");
        // What is ours has its path behind it.
        if !package.ends_with(')') {
            features.entry(package.to_owned()).or_default().insert(given.to_owned());
        }
    }
    features
}

/// One line for each package that is in `alone` with features that `together` does not have.
fn differences(alone: &Features, together: &Features) -> Vec<String> {
    let mut differences = Vec::new();
    let is_checked = |package: &str| !ACCEPTED.contains(&package.split(' ').next().unwrap_or_default());
    for (package, given) in alone.iter().filter(|(package, _)| is_checked(package)) {
        let others = together.get(package).cloned().unwrap_or_default();
        for features in given.difference(&others) {
            let others = others.iter().map(|others| format!("[{others}]")).collect::<Vec<_>>().join(" or ");
            differences.push(format!("  {package}: [{features}] for the demo, {others} for the tests"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_other_features_is_named_with_both() {
        let alone =
            parse("node v1 (/repo/host/cli)|x\nbytes v1.1|std\nserde v1|derive,std\nserde v1|std (*)");
        let together = parse("node v1 (/repo/host/cli)|y\nbytes v1.1|std (*)\nserde v1|std\nproptest v1|std");
        assert_eq!(
            differences(&alone, &together),
            ["  serde v1: [derive,std] for the demo, [std] for the tests"]
        );
        assert!(differences(&together, &together).is_empty());
    }

    #[test]
    fn some_packages_may_differ() {
        assert!(differences(&parse("tokio v1.2|rt"), &parse("tokio v1.2|rt,test-util")).is_empty());
        assert_eq!(differences(&parse("tokio-util v1|"), &parse("tokio-util v1|rt")).len(), 1);
    }

    #[test]
    fn a_procedural_macro_is_a_package_too() {
        assert_eq!(parse("a v1 (proc-macro)|\nb v2 (proc-macro)|full (*)"), parse("a v1|\nb v2|full"));
    }
}
