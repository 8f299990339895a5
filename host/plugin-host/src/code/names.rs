//! What a component file says that it needs and offers, for people: read without compiling it.

use wasmparser::{Parser, Payload};

/// The most names of each kind that are kept.
const MAX_NAMES: usize = 1000;

/// The names of a component's own imports and exports, in its order, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentNames {
    /// `wasi:cli/environment@0.2.0`, `posemesh:runner/control@0.2.0`...
    pub imports: Vec<String>,
    /// `posemesh:runner/entry@0.2.0`, and what else there is.
    pub exports: Vec<String>,
    /// Whether it carries the lines of its source (DWARF), which make it larger.
    pub debug_info: bool,
}

impl ComponentNames {
    /// Reads what the bytes of a component say; what can't be read is left out, since loading it says why.
    ///
    /// ```
    /// use posemesh_plugin_host::load::ComponentNames;
    ///
    /// let component = b"\0asm\x0d\0\x01\0";
    /// assert_eq!(ComponentNames::of(component), ComponentNames::default());
    /// ```
    pub fn of(component: &[u8]) -> Self {
        let mut names = Self::default();
        // Of the component itself, and not of those inside it.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload {
                Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::ComponentImportSection(section)) if depth == 0 => {
                    let imports = section.into_iter().filter_map(Result::ok);
                    names.imports.extend(imports.map(|import| import.name.name.to_owned()));
                    names.imports.truncate(MAX_NAMES);
                }
                Ok(Payload::ComponentExportSection(section)) if depth == 0 => {
                    let exports = section.into_iter().filter_map(Result::ok);
                    names.exports.extend(exports.map(|export| export.name.name.to_owned()));
                    names.exports.truncate(MAX_NAMES);
                }
                Ok(Payload::CustomSection(section)) if section.name() == ".debug_info" => {
                    names.debug_info = true;
                }
                Ok(_) => {}
                Err(_) => return names,
            }
        }
        names
    }

    /// Whether something of a package is imported: `wasi:http`.
    pub fn imports_of(&self, package: &str) -> bool {
        self.imports.iter().any(|import| import.split(['/', '@']).next() == Some(package))
    }
}
