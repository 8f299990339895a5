#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::code::engine::compiling_engine;

/// A component around a core module.
fn component(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))"))
        .unwrap_or_else(|error| panic!("{module}: {error}"))
}

const PLAIN: &str = "(func (export \"f\") (result i32) i32.const 1)";

/// A module that needs a proposal, and a word of its name.
const BEYOND: [(&str, &str); 9] = [
    ("(type (struct (field i32)))", "(gc)"),
    ("(func (param (ref null any)))", "(gc)"),
    ("(memory i64 1)", "(memory64)"),
    ("(memory 1 1 shared)", "(threads)"),
    ("(tag (param i32))", "(exceptions)"),
    ("(type $f (func)) (type $c (cont $f))", "(stack-switching)"),
    (
        "(func (param i64 i64 i64 i64) (result i64 i64) local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
        "(wide-arithmetic)",
    ),
    ("(memory 1 (pagesize 1))", "(custom-page-sizes)"),
    ("(memory i64 1) (tag) (memory 1 1 shared)", "(memory64)"),
];

#[test]
fn a_component_that_needs_a_proposal_is_told_which() {
    let engine = compiling_engine().unwrap();
    for (module, word) in BEYOND {
        let bytes = component(module);
        assert!(engine.precompile_component(&bytes).is_err(), "{module} must be refused by the engine too");
        let Fault::Needs(names) = fault(&bytes) else { panic!("{module}: {:?}", fault(&bytes)) };
        assert!(names.iter().any(|name| name.ends_with(word)), "{module}: {names:?}");
    }
    let Fault::Needs(names) = fault(&component(BEYOND[8].0)) else { panic!("three at once") };
    assert_eq!(names.len(), 3, "all that are needed, so that nobody learns of them one by one: {names:?}");
}

#[test]
fn what_is_cut_short_is_broken_and_what_is_offered_is_valid() {
    let bytes = component(PLAIN);
    assert_eq!(fault(&bytes), Fault::Valid);
    assert_eq!(fault(&bytes[..bytes.len() - 3]), Fault::Broken);
    let beyond = component(BEYOND[0].0);
    assert_eq!(fault(&beyond[..beyond.len() - 1]), Fault::Broken, "cut short, whatever it needs");
    assert_eq!(fault(b""), Fault::Broken);
}

#[test]
fn what_is_said_to_be_offered_is_what_the_engine_compiles() {
    let engine = compiling_engine().unwrap();
    for module in [
        PLAIN,
        "(memory 1) (memory 2)",
        "(func $f return_call $f)",
        "(func (result v128) i32.const 0 i8x16.splat)",
        "(func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd)",
        "(type $f (func)) (func (param (ref null $f)) local.get 0 call_ref $f)",
        "(global i32 i32.const 1) (global i32 (i32.add (i32.const 1) (i32.const 2)))",
    ] {
        let bytes = component(module);
        assert_eq!(fault(&bytes), Fault::Valid, "{module}");
        engine.precompile_component(&bytes).unwrap_or_else(|error| panic!("{module}: {error:#}"));
    }
}
