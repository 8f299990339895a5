//! Reads the modules of a library or program from its root file on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::ext::IdentExt;
use syn::{Ident, Item, ItemMod, ItemUse, Visibility};

use super::files::{Place, is_test_only};
use super::imports::{Brings, Import, imports};
use super::model::{FileId, Module, ModuleId, Name, Origin, Program, Reference};
use super::references::References;

/// Reads the program or library whose root file is `root`, without what exists in tests only.
///
/// # Errors
/// If a file is missing or can't be parsed.
pub(crate) fn program(root: &Path) -> Result<Program> {
    let mut program = Program::default();
    program.read_file(root.to_path_buf(), Place::beside(root), Module::default())?;
    Ok(program)
}

impl Program {
    /// Reads `module`, which is the file `path`, and everything below it.
    fn read_file(&mut self, path: PathBuf, place: Place, mut module: Module) -> Result<ModuleId> {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let syntax = syn::parse_file(&text).with_context(|| format!("parse {}", path.display()))?;
        module.file = self.files.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.files.push(path.clone());
            self.files.len() - 1
        });
        self.read_module(&syntax.items, place, module).with_context(|| format!("in {}", path.display()))
    }

    fn read_module(&mut self, items: &[Item], place: Place, mut module: Module) -> Result<ModuleId> {
        let id = self.modules.len();
        // The children need the number of their parent, which is complete only after them.
        self.modules.push(Module::default());
        let mut references = References::default();
        for item in items {
            match item {
                Item::Mod(item) => {
                    if let Some(child) = self.read_child(item, &place, module.file, id)? {
                        module.declare(&item.ident, Name::Module(child));
                    }
                }
                Item::Use(item) if !is_test_only(&item.attrs) => module.import(item),
                item => {
                    if let Some(name) = defined(item) {
                        module.declare(name, Name::Item);
                        if matches!(item, Item::Macro(_)) {
                            self.macros.insert(name.unraw().to_string(), id);
                        }
                    }
                    references.add(item);
                }
            }
        }
        references.imports.into_iter().for_each(|import| module.bring(import));
        module.references.extend(references.found);
        module.impls = references.impls;
        if let Some(place) = self.modules.get_mut(id) {
            *place = module;
        }
        Ok(id)
    }

    /// Reads a declared or inline module, unless it is for tests.
    fn read_child(
        &mut self,
        item: &ItemMod,
        place: &Place,
        file: FileId,
        parent: ModuleId,
    ) -> Result<Option<ModuleId>> {
        let name = item.ident.unraw().to_string();
        if name == "tests" || is_test_only(&item.attrs) {
            return Ok(None);
        }
        let module = Module { name: name.clone(), parent: Some(parent), file, ..Module::default() };
        let child = match &item.content {
            Some((_, items)) => self.read_module(items, place.inline(&name), module)?,
            None => {
                let (path, place) = place.child(&name, &item.attrs)?;
                self.read_file(path, place, module)?
            }
        };
        Ok(Some(child))
    }
}

impl Module {
    fn declare(&mut self, name: &Ident, stands_for: Name) {
        self.names.entry(name.unraw().to_string()).or_default().push(stands_for);
    }

    fn import(&mut self, item: &ItemUse) {
        let origin = match item.vis {
            Visibility::Inherited => Origin::Import,
            _ => Origin::ReExport,
        };
        for import in imports(item) {
            self.references.push(Reference { path: import.path.clone(), origin });
            self.bring(import);
        }
    }

    fn bring(&mut self, import: Import) {
        match import.brings {
            Brings::Name(name) => self.names.entry(name).or_default().push(Name::Alias(import.path)),
            Brings::All => self.globs.push(import.path),
            Brings::Nothing => {}
        }
    }
}

/// The name that `item` defines.
fn defined(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::TraitAlias(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}
