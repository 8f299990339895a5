//! The single imports in a `use` with braces.

use syn::ext::IdentExt;
use syn::{ItemUse, UseTree};

use super::model::Segments;

/// One import.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Segments,
    pub(crate) brings: Brings,
}

/// What an import brings into scope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brings {
    /// One name.
    Name(String),
    /// A trait's methods: `use path as _`.
    Nothing,
    /// Everything in a module: `use path::*`.
    All,
}

/// The imports of `item`; none if it names another crate by a leading `::`.
pub(crate) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    if item.leading_colon.is_none() {
        collect(&item.tree, &mut Vec::new(), &mut imports);
    }
    imports
}

fn collect(tree: &UseTree, prefix: &mut Segments, imports: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.unraw().to_string());
            collect(&path.tree, prefix, imports);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, prefix, imports)),
        UseTree::Glob(_) => imports.push(Import { path: prefix.clone(), brings: Brings::All }),
        UseTree::Name(name) => {
            let path = extended(prefix, name.ident.unraw().to_string());
            let name = path.last().cloned().unwrap_or_default();
            imports.push(Import { path, brings: Brings::Name(name) });
        }
        UseTree::Rename(rename) => {
            let path = extended(prefix, rename.ident.unraw().to_string());
            let name = rename.rename.unraw().to_string();
            let brings = if name == "_" { Brings::Nothing } else { Brings::Name(name) };
            imports.push(Import { path, brings });
        }
    }
}

/// `prefix` with `name`; in `use a::{self}` that is `a` itself.
fn extended(prefix: &Segments, name: String) -> Segments {
    let mut path = prefix.clone();
    if name != "self" || prefix.is_empty() {
        path.push(name);
    }
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_opened() {
        let item = syn::parse_str("use crate::a::{self, b::{C, D as E}, f::*, G as _};").unwrap();
        let found: Vec<_> =
            imports(&item).into_iter().map(|import| (import.path.join("::"), import.brings)).collect();
        let name = |name: &str| Brings::Name(name.to_owned());
        let want = [
            ("crate::a".to_owned(), name("a")),
            ("crate::a::b::C".to_owned(), name("C")),
            ("crate::a::b::D".to_owned(), name("E")),
            ("crate::a::f".to_owned(), Brings::All),
            ("crate::a::G".to_owned(), Brings::Nothing),
        ];
        assert_eq!(found, want);
    }

    #[test]
    fn another_crate_by_its_full_name_is_no_import_of_ours() {
        let item = syn::parse_str("use ::http::Uri;").unwrap();
        assert!(imports(&item).is_empty());
    }
}
