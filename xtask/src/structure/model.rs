//! A library or program as the check sees it: its modules, the names in each, and what each refers to.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A place in [`Program::files`].
pub(crate) type FileId = usize;

/// A place in [`Program::modules`].
pub(crate) type ModuleId = usize;

/// The names of a path, for example `crate`, `net`, `Retry`.
pub(crate) type Segments = Vec<String>;

/// The module tree of one library or program, without its tests.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) files: Vec<PathBuf>,
    /// The first is the root.
    pub(crate) modules: Vec<Module>,
    /// The modules that define a `macro_rules!` macro, by its name: it is in scope without an import.
    pub(crate) macros: BTreeMap<String, ModuleId>,
}

impl Program {
    /// The path of a module below the root, for example `net::retry`.
    pub(crate) fn path_of(&self, module: ModuleId) -> String {
        let Some(Module { parent: Some(parent), name, .. }) = self.modules.get(module) else {
            return String::new();
        };
        let above = self.path_of(*parent);
        if above.is_empty() { name.clone() } else { format!("{above}::{name}") }
    }
}

/// A module, in a file of its own or inline.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Empty for the root.
    pub(crate) name: String,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) file: FileId,
    /// A name can stand for several things: a module and a function, or the variants of a `cfg`.
    pub(crate) names: BTreeMap<String, Vec<Name>>,
    /// What is imported with `*`.
    pub(crate) globs: Vec<Segments>,
    pub(crate) references: Vec<Reference>,
    pub(crate) impls: Vec<InherentImpl>,
}

/// What a name in a module stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Something that the module itself defines.
    Item,
    /// A module that is declared here.
    Module(ModuleId),
    /// Something imported, by its path.
    Alias(Segments),
}

/// A path that a module's code names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) path: Segments,
    pub(crate) origin: Origin,
}

/// Where a path stands: not every place makes its file depend on what the path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In a private `use`.
    Import,
    /// In a `use` with a visibility.
    ReExport,
    /// In code.
    Code,
    /// In code, as the name of a macro that is called.
    Macro,
    /// `self.method()` or `Self::item`, as `Type::method`: names the method, not the type.
    OfSelf,
}

/// An `impl Type { .. }` block: the type can be another file's.
#[derive(Debug)]
pub(crate) struct InherentImpl {
    pub(crate) self_type: Segments,
    /// The names of functions and constants.
    pub(crate) items: Vec<String>,
}
