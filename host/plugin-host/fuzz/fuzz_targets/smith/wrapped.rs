//! A runner around a core module: the component is right, so that whatever the module does is done by a guest.
//!
//! The module is instantiated, which runs its start function, and each of its first functions is called by `run` with
//! constants. It gets there as bytes: the component is made with an empty module in its place, which is then replaced.

use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, ValType};

#[path = "../../../../../tests/src/by_hand.rs"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod by_hand;

use by_hand::{Parts, runner};

/// How many functions of the module are called.
const CALLED: usize = 4;
/// The longest name that is imported as it is; the text format is only for names that need no escape.
const LONGEST_NAME: usize = 64;
/// What stands for the module until it is replaced. No other module of the component is the same.
const PLACE: &str = r#"(core module $smith (@custom "place" "") NAMES)"#;
/// The id of a core module's section in a component.
const CORE_MODULE: u8 = 1;
/// The bytes that every component begins with.
const PREAMBLE: usize = 8;

/// The component of a runner that calls the module's functions; none if the module imports something, or cannot be read.
pub(crate) fn around(module: &[u8]) -> Option<Vec<u8>> {
    let functions = callable(module)?;
    let (mut names, mut imports, mut calls) = (String::new(), String::new(), String::new());
    for (at, (name, ty)) in functions.iter().enumerate() {
        let params: String = ty.params().iter().map(|ty| format!(" {ty}")).collect();
        let results: String = ty.results().iter().map(|ty| format!(" {ty}")).collect();
        let signature = format!("(param{params}) (result{results})");
        names += &format!(r#"(func (export "{name}") {signature} unreachable)"#);
        imports += &format!(r#"(import "smith" "{name}" (func $f{at} {signature}))"#);
        let constants: String = ty.params().iter().map(|ty| format!("({}) ", constant(*ty))).collect();
        let drops = "drop ".repeat(ty.results().len());
        calls += &format!("{constants} call $f{at} {drops}");
    }
    let component = runner(
        "smith",
        &Parts {
            before: &format!("{} (core instance $s (instantiate $smith))", PLACE.replace("NAMES", &names)),
            with: r#"(with "smith" (instance $s))"#,
            imports: &imports,
            run: &calls,
            ..Parts::default()
        },
    );
    replace_first_module(&component, module)
}

/// The module's exported functions whose types are numbers and vectors, which is what constants can be written for.
fn callable(module: &[u8]) -> Option<Vec<(String, FuncType)>> {
    let (mut types, mut functions, mut exports) = (Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group.ok()?.into_types().map(|ty| ty.composite_type.inner));
                }
            }
            // Nothing is there to be imported.
            Payload::ImportSection(section) if section.count() > 0 => return None,
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty.ok()? as usize);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export.ok()?);
                }
            }
            _ => {}
        }
    }
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= LONGEST_NAME
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let exports = exports.iter().filter(|export| export.kind == ExternalKind::Func && plain(export.name));
    let typed = exports.filter_map(|export| match types.get(*functions.get(export.index as usize)?)? {
        CompositeInnerType::Func(ty) => Some((export.name.to_owned(), ty.clone())),
        _ => None,
    });
    let simple =
        |ty: &FuncType| ty.params().iter().chain(ty.results()).all(|ty| !matches!(ty, ValType::Ref(_)));
    Some(typed.filter(|(_, ty)| simple(ty)).take(CALLED).collect())
}

fn constant(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32.const -7",
        ValType::I64 => "i64.const 9223372036854775807",
        ValType::F32 => "f32.const nan",
        ValType::F64 => "f64.const -0.5",
        ValType::V128 | ValType::Ref(_) => "v128.const i64x2 -1 1",
    }
}

/// The component with `module` in place of the first core module in it.
fn replace_first_module(component: &[u8], module: &[u8]) -> Option<Vec<u8>> {
    let mut at = PREAMBLE;
    while let Some(id) = component.get(at) {
        let (size, content) = unsigned(component, at + 1)?;
        let end = content.checked_add(size)?;
        if *id == CORE_MODULE {
            let mut replaced = component[..at].to_vec();
            replaced.push(CORE_MODULE);
            replaced.extend(leb(module.len()));
            replaced.extend(module);
            replaced.extend(component.get(end..)?);
            return Some(replaced);
        }
        at = end;
    }
    None
}

/// The unsigned LEB128 at `at`, and where it ends.
fn unsigned(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = bytes.get(at)?;
        at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
