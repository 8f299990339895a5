//! Follows paths to the modules that define what they lead to.

use super::model::{Module, ModuleId, Name, Program, Segments};

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Module(ModuleId),
    /// Something that is no module.
    Item(Item),
    /// Another crate, or something local to a function.
    Elsewhere,
}

/// Something that a module defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) module: ModuleId,
    pub(crate) name: String,
}

/// What a path leads to, and the rest of the path: what is left when an item is reached, for example the
/// name of a variant or an associated function.
pub(crate) struct Resolved<'path> {
    pub(crate) targets: Vec<Target>,
    pub(crate) rest: &'path [String],
}

/// Follows `path` as written in the module `from`.
pub(crate) fn resolve<'path>(program: &Program, from: ModuleId, path: &'path Segments) -> Resolved<'path> {
    Resolver { program, open: Vec::new() }.resolve(from, path)
}

struct Resolver<'a> {
    program: &'a Program,
    /// The imports that are being followed, each with its module: one that leads back to itself ends there.
    open: Vec<(ModuleId, &'a Segments)>,
}

impl<'a> Resolver<'a> {
    fn resolve<'path>(&mut self, from: ModuleId, path: &'path [String]) -> Resolved<'path> {
        let Some((mut targets, mut rest)) = self.first(from, path) else {
            return Resolved { targets: vec![Target::Elsewhere], rest: &[] };
        };
        while let [name, after @ ..] = rest {
            let modules: Vec<ModuleId> = targets
                .iter()
                .filter_map(|target| match target {
                    Target::Module(module) => Some(*module),
                    _ => None,
                })
                .collect();
            // What follows an item belongs to the item.
            if modules.is_empty() {
                break;
            }
            targets = Vec::new();
            for module in modules {
                let mut found = self.lookup(module, name);
                if found.is_empty() {
                    // A macro in that module makes it.
                    found.push(Target::Item(Item { module, name: name.clone() }));
                }
                targets.extend(found);
            }
            rest = after;
        }
        Resolved { targets, rest }
    }

    /// What the first names of `path` stand for, and the rest.
    fn first<'path>(
        &mut self,
        from: ModuleId,
        path: &'path [String],
    ) -> Option<(Vec<Target>, &'path [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => return Some((vec![Target::Module(0)], rest)),
            "self" => from,
            "super" => self.module(from)?.parent?,
            name => {
                let found = self.lookup(from, name);
                return (!found.is_empty()).then_some((found, rest));
            }
        };
        while let [name, after @ ..] = rest
            && name == "super"
        {
            module = self.module(module)?.parent?;
            rest = after;
        }
        Some((vec![Target::Module(module)], rest))
    }

    /// What `name` stands for in `module`; nothing if the module does not have it.
    fn lookup(&mut self, module: ModuleId, name: &str) -> Vec<Target> {
        let Some(scope) = self.module(module) else { return Vec::new() };
        let mut found = Vec::new();
        for stands_for in scope.names.get(name).into_iter().flatten() {
            match stands_for {
                Name::Item => found.push(Target::Item(Item { module, name: name.to_owned() })),
                Name::Module(child) => found.push(Target::Module(*child)),
                Name::Alias(path) => {
                    let targets = self.follow(module, path);
                    found.extend(targets);
                }
            }
        }
        // A module and a function can have the same name, and only one of them be imported by `*`.
        if found.iter().any(|target| !matches!(target, Target::Module(_))) {
            return found;
        }
        for path in &scope.globs {
            for target in self.follow(module, path) {
                match target {
                    Target::Module(module) => found.extend(self.glob(module, path, name)),
                    // Whether it has the name can't be known.
                    Target::Elsewhere => found.push(Target::Elsewhere),
                    // The variants of an enum: the import itself is the dependency.
                    Target::Item(_) => {}
                }
            }
        }
        found
    }

    /// Where the import of `path` in `module` leads.
    fn follow(&mut self, module: ModuleId, path: &'a Segments) -> Vec<Target> {
        if self.open.contains(&(module, path)) {
            return Vec::new();
        }
        self.open.push((module, path));
        let targets = self.resolve(module, path).targets;
        self.open.pop();
        targets
    }

    /// What `name` stands for in `module`, which was imported as a whole by `path`.
    fn glob(&mut self, module: ModuleId, path: &'a Segments, name: &str) -> Vec<Target> {
        if self.open.contains(&(module, path)) {
            return Vec::new();
        }
        self.open.push((module, path));
        let found = self.lookup(module, name);
        self.open.pop();
        found
    }

    fn module(&self, id: ModuleId) -> Option<&'a Module> {
        self.program.modules.get(id)
    }
}
