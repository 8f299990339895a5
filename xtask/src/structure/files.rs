//! Where source files are: below a folder, and behind a `mod name;`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Lit, Meta, Token};

/// The folders in which a module's children are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Of `mod name;`.
    pub(crate) children: PathBuf,
    /// Of `#[path = "..."] mod name;`.
    pub(crate) by_attribute: PathBuf,
}

impl Place {
    /// Of the root file, and of a `name/mod.rs`: beside the file.
    pub(crate) fn beside(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(file).to_path_buf();
        Self { children: folder.clone(), by_attribute: folder }
    }

    /// Of a `name.rs`: in `name/`.
    fn below(file: &Path) -> Self {
        Self { children: file.with_extension(""), by_attribute: Self::beside(file).by_attribute }
    }

    /// Of `mod name { .. }` in this place.
    pub(crate) fn inline(&self, name: &str) -> Self {
        let folder = self.children.join(name);
        Self { children: folder.clone(), by_attribute: folder }
    }

    /// The file behind `mod name;` in this place, and the place of its own children.
    ///
    /// # Errors
    /// If there is no such file.
    pub(crate) fn child(&self, name: &str, attributes: &[Attribute]) -> Result<(PathBuf, Self)> {
        if let Some(path) = path_attribute(attributes) {
            let file = self.by_attribute.join(path);
            let place = Self::beside(&file);
            return Ok((file, place));
        }
        let flat = self.children.join(format!("{name}.rs"));
        if flat.is_file() {
            let place = Self::below(&flat);
            return Ok((flat, place));
        }
        let nested = self.children.join(name).join("mod.rs");
        if nested.is_file() {
            let place = Self::beside(&nested);
            return Ok((nested, place));
        }
        bail!("`mod {name};` has no file {}", flat.display())
    }
}

/// The value of `#[path = "..."]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(path) => Some(path.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

/// Whether what has these attributes exists in tests only.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args().is_ok_and(|meta| needs_test(&meta))
        }
        _ => false,
    })
}

/// Whether the condition of a `cfg` can hold in tests only.
fn needs_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else { return condition.path().is_ident("test") };
    let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
        return false;
    };
    if list.path.is_ident("all") {
        parts.iter().any(needs_test)
    } else {
        list.path.is_ident("any") && !parts.is_empty() && parts.iter().all(needs_test)
    }
}

/// All `.rs` files below `folder`, sorted; none if there is no such folder.
///
/// # Errors
/// If a folder can't be read.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    let reading = || format!("read {}", folder.display());
    for entry in folder.read_dir().with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.is_dir() {
            files.extend(below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_conditions_that_need_tests_are_for_tests_only() {
        let test_only = |code: &str| is_test_only(&syn::parse_str::<syn::ItemStruct>(code).unwrap().attrs);
        assert!(test_only("#[cfg(test)] struct A;"));
        assert!(test_only("#[cfg(all(unix, test))] struct A;"));
        assert!(!test_only("#[cfg(any(test, feature = \"mock\"))] struct A;"));
        assert!(!test_only("#[cfg(not(test))] struct A;"));
        assert!(!test_only("#[cfg(feature = \"test\")] struct A;"));
        assert!(!test_only("struct A;"));
    }
}
