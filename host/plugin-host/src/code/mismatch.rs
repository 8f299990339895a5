//! Which type of a component is not the contract's, and how.

use posemesh_text::one_line;
use wasmtime::Engine;
use wasmtime::component::Type;
use wasmtime::component::types::{Component, ComponentItem};

use crate::contract::{Line, PACKAGE, Shape};

/// How much of one name of a component's is shown, in bytes.
const MAX_NAME: usize = 100;

/// The first record, variant or enum of a component's interfaces that differs from that of the version it names.
pub(super) fn differing_type(component: &Component, engine: &Engine) -> Option<String> {
    component.imports(engine).chain(component.exports(engine)).find_map(|(interface, item)| {
        let version = interface.strip_prefix(PACKAGE)?.split_once('@')?.1;
        let line = Line::serving(version)?;
        let ComponentItem::ComponentInstance(instance) = item.ty else { return None };
        let shapes = line.shapes();
        instance.exports(engine).find_map(|(name, item)| {
            let ComponentItem::Type(ty) = item.ty else { return None };
            let ours = shapes.iter().find(|shape| shape.name == name)?;
            difference(ours, line, &ty)
        })
    })
}

/// How a component's type differs from ours of the same name.
fn difference(ours: &Shape, line: Line, theirs: &Type) -> Option<String> {
    let (kind, part, names): (_, _, Vec<&str>) = match theirs {
        Type::Record(record) => ("record", "field", record.fields().map(|field| field.name).collect()),
        Type::Variant(variant) => ("variant", "case", variant.cases().map(|case| case.name).collect()),
        Type::Enum(cases) => ("enum", "case", cases.names().collect()),
        _ => return None,
    };
    let (name, version) = (ours.name, line.version());
    let lacks = ours.parts.iter().find(|part| !names.contains(*part));
    let adds = names.iter().find(|part| !ours.parts.contains(*part)).map(|part| one_line(part, MAX_NAME));
    match (lacks, adds) {
        (Some(lacks), Some(adds)) => Some(format!(
            "its {kind} `{name}` has a {part} `{adds}` and no `{lacks}`, unlike that of {version}"
        )),
        (Some(lacks), None) => Some(format!("its {kind} `{name}` lacks the {part} `{lacks}` of {version}")),
        (None, Some(adds)) => {
            Some(format!("its {kind} `{name}` has a {part} `{adds}`, which {version} lacks"))
        }
        (None, None) if names != ours.parts => {
            Some(format!("its {kind} `{name}` has its {part}s in another order than that of {version}"))
        }
        (None, None) => None,
    }
}
