//! Which file depends on which: what a file's code names, and where that is defined.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::model::{FileId, ModuleId, Origin, Program, Reference};
use super::resolve::{Item, Target, resolve};

/// The files that define an item of a type, by the type and the item's name. One type can have `impl` blocks
/// in several files.
type Associated = BTreeMap<(Item, String), BTreeSet<FileId>>;

/// The dependencies between the files of `program`.
pub(crate) fn between_files(program: &Program) -> Graph {
    let associated = associated(program);
    let mut graph = Graph::default();
    for (from, module) in program.modules.iter().enumerate() {
        for reference in &module.references {
            for (file, name) in defined_in(program, &associated, from, reference) {
                graph.add(module.file, file, &name);
            }
        }
    }
    graph
}

/// The dependencies between modules with the same parent, each with everything below it, and the files that
/// make them so. `between_files` is what [`between_files`] found; names are given to files by `name`.
pub(crate) fn between_siblings(
    program: &Program,
    between_files: &Graph,
    name: impl Fn(FileId) -> String,
) -> Graph {
    let mut graph = Graph::default();
    for (from, to, _) in between_files.all() {
        let (Some(from_module), Some(to_module)) = (module_of(program, from), module_of(program, to)) else {
            continue;
        };
        if let Some((from_sibling, to_sibling)) = siblings(program, from_module, to_module) {
            graph.add(from_sibling, to_sibling, &format!("{} -> {}", name(from), name(to)));
        }
    }
    graph
}

/// Whether `file` belongs to `module` or to something below it.
pub(crate) fn is_file_of(program: &Program, file: FileId, module: ModuleId) -> bool {
    module_of(program, file).is_some_and(|id| with_ancestors(program, id).contains(&module))
}

/// The module that is the file `file`; those inside of it come later.
fn module_of(program: &Program, file: FileId) -> Option<ModuleId> {
    program.modules.iter().position(|module| module.file == file)
}

/// The two modules with the same parent that `a` and `b` are in, or are; none if one of them is above the
/// other.
fn siblings(program: &Program, a: ModuleId, b: ModuleId) -> Option<(ModuleId, ModuleId)> {
    let (a, b) = (with_ancestors(program, a), with_ancestors(program, b));
    // From the root on, where both are the same.
    a.iter().rev().zip(b.iter().rev()).find(|(a, b)| a != b).map(|(a, b)| (*a, *b))
}

fn associated(program: &Program) -> Associated {
    let mut associated = Associated::new();
    for (from, module) in program.modules.iter().enumerate() {
        for block in &module.impls {
            for target in resolve(program, from, &block.self_type).targets {
                let Target::Item(item) = target else { continue };
                for name in &block.items {
                    let files = associated.entry((item.clone(), name.clone())).or_default();
                    files.insert(module.file);
                }
            }
        }
    }
    associated
}

/// The files that define what `reference` in the module `from` names, each with the name.
fn defined_in(
    program: &Program,
    associated: &Associated,
    from: ModuleId,
    reference: &Reference,
) -> Vec<(FileId, String)> {
    if let Some(defined) = macro_in_scope(program, reference) {
        return vec![defined];
    }
    let resolved = resolve(program, from, &reference.path);
    let mut defined = Vec::new();
    for target in resolved.targets {
        // A module alone is nothing to depend on; what is named through it is.
        let Target::Item(item) = target else { continue };
        // To declare a module and pass on what it defines is not to use it.
        if reference.origin == Origin::ReExport && is_below(program, item.module, from) {
            continue;
        }
        let Some(module) = program.modules.get(item.module) else { continue };
        if reference.origin != Origin::OfSelf {
            defined.push((module.file, item.name.clone()));
        }
        if let Some(name) = resolved.rest.first() {
            let files = associated.get(&(item.clone(), name.clone())).into_iter().flatten();
            defined.extend(files.map(|file| (*file, format!("{}::{name}", item.name))));
        }
    }
    defined
}

/// The file of the `macro_rules!` macro that `reference` calls, if it calls one of this crate's by its bare
/// name or from the crate's root.
fn macro_in_scope(program: &Program, reference: &Reference) -> Option<(FileId, String)> {
    let name = match reference.path.as_slice() {
        [name] => name,
        [root, name] if root == "crate" => name,
        _ => return None,
    };
    let module = program.macros.get(name).filter(|_| reference.origin == Origin::Macro)?;
    Some((program.modules.get(*module)?.file, format!("{name}!")))
}

/// Whether `module` is somewhere below `above` in the module tree.
fn is_below(program: &Program, module: ModuleId, above: ModuleId) -> bool {
    with_ancestors(program, module).iter().skip(1).any(|ancestor| *ancestor == above)
}

/// `module`, its parent and so on up to the root.
fn with_ancestors(program: &Program, module: ModuleId) -> Vec<ModuleId> {
    let parent = |id: &ModuleId| program.modules.get(*id).and_then(|module| module.parent);
    std::iter::successors(Some(module), parent).collect()
}
