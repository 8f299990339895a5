//! Checks the structure of the product's crates: no circle of imports between the files of a crate or between
//! its modules, and one module style.
//!
//! A file depends on another if its code names something that the other *defines*; re-exports are followed
//! to the definition, so that a parent module's file which only declares and re-exports its children is in
//! no circle with them. Calls of methods on other values than `self` are not seen, because that takes types;
//! a file whose type's methods are called names that type somewhere almost always.

mod dependencies;
mod files;
mod graph;
mod imports;
mod model;
mod read;
mod references;
mod resolve;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::graph::Graph;
use self::model::{FileId, ModuleId};
use crate::project::Project;
use crate::workspace::{self, Member};

/// Fails with every circle of imports between files of one crate, and between modules with the same parent,
/// each with everything below it; for the crates in `host/`, the devnet and these commands.
///
/// # Errors
/// If there is one, or if a source file can't be read or parsed.
pub(crate) fn no_circles(project: &Project) -> Result<()> {
    let members = workspace::members(project)?;
    let is_checked = |member: &&Member| {
        ["devnet", "host", "xtask"].contains(&member.folder.as_str()) || member.folder.starts_with("host/")
    };
    let (mut crates, mut files, mut circles) = (0, BTreeSet::new(), Vec::new());
    for member in members.iter().filter(is_checked) {
        crates += 1;
        for root in &member.roots {
            let checked = check(root)?;
            circles.extend(checked.circles.iter().map(|circle| format!("{}: {circle}", project.short(root))));
            files.extend(checked.files);
        }
    }
    let checked = format!("{} files in {crates} crates", files.len());
    if circles.is_empty() {
        eprintln!("{checked}, no circle");
        return Ok(());
    }
    bail!(
        "{checked}, {} circles of imports\n{}\n  what helps: move what both sides need into a file below \
         both; a parent module's file may define what its children need, or use them, but not both",
        circles.len(),
        circles.join("\n")
    )
}

/// Fails with every `mod.rs` in the sources of the workspace: a module with children is `name.rs` beside the
/// folder `name/`. In `tests/` folders, where each file is a program, `mod.rs` stays allowed.
///
/// # Errors
/// If there is one, or a folder can't be read.
pub(crate) fn one_module_style(project: &Project) -> Result<()> {
    let members = workspace::members(project)?;
    let mut checked = 0;
    let mut wrong = Vec::new();
    for member in &members {
        for file in files::below(&project.root.join(&member.folder).join("src"))? {
            checked += 1;
            if file.ends_with("mod.rs") {
                wrong.push(format!("{}", project.short(&file)));
            }
        }
    }
    if wrong.is_empty() {
        eprintln!("{checked} files in {} crates, no mod.rs", members.len());
        return Ok(());
    }
    bail!("module files of the other style: {}\n  what helps: name/mod.rs becomes name.rs", wrong.join(", "))
}

/// What the check of one library or program found.
struct Checked {
    /// All source files outside of tests.
    files: Vec<PathBuf>,
    /// Each circle, described in several lines.
    circles: Vec<String>,
}

/// Checks the library or program whose root file is `root`.
fn check(root: &Path) -> Result<Checked> {
    let program = read::program(root).with_context(|| format!("read the modules of {}", root.display()))?;
    let folder = root.parent().unwrap_or(root);
    let file_name = |file: FileId| match program.files.get(file) {
        Some(path) => path.strip_prefix(folder).unwrap_or(path).display().to_string(),
        None => String::new(),
    };
    let files = dependencies::between_files(&program);
    let file_circles = files.circles();
    let mut circles: Vec<String> =
        file_circles.iter().map(|circle| describe("files", circle, &files, file_name)).collect();

    let modules = dependencies::between_siblings(&program, &files, file_name);
    let is_shown = |modules: &BTreeSet<ModuleId>| {
        let meets = |circle: &BTreeSet<FileId>, module: &ModuleId| {
            circle.iter().any(|file| dependencies::is_file_of(&program, *file, *module))
        };
        file_circles.iter().any(|circle| modules.iter().all(|module| meets(circle, module)))
    };
    for circle in modules.circles().iter().filter(|circle| !is_shown(circle)) {
        circles.push(describe("modules", circle, &modules, |module| program.path_of(module)));
    }
    Ok(Checked { files: program.files.clone(), circles })
}

/// One line for each dependency in `circle`, with its reasons.
fn describe(what: &str, circle: &BTreeSet<usize>, graph: &Graph, name: impl Fn(usize) -> String) -> String {
    let mut lines = vec![format!("a circle of {} {what}", circle.len())];
    for (from, to, reasons) in graph.within(circle) {
        let reasons = reasons.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        lines.push(format!("  {} -> {}: {reasons}", name(from), name(to)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
