#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

/// The circles of a library of these files, each a path below `src` and its text.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let checked = check(&folder.path().join("lib.rs")).unwrap();
    assert!(checked.files.len() <= files.len());
    checked.circles
}

/// The circles of a library of two modules, `a` and `b`.
fn circles_of_two(a: &str, b: &str) -> Vec<String> {
    circles(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)])
}

const A_AND_B: &str = "a circle of 2 files\n  a.rs -> b.rs: B\n  b.rs -> a.rs: A";

#[test]
fn imports_make_a_circle() {
    assert_eq!(circles_of_two("use crate::b::B; pub struct A;", "use super::a::A; pub struct B;"), [A_AND_B]);
    assert_eq!(
        circles_of_two("use crate::{b::{self, B}}; pub struct A;", "use crate::a::A as Other; pub struct B;"),
        [A_AND_B]
    );
}

#[test]
fn paths_in_code_make_a_circle() {
    let b = "pub struct B; fn f(_: Vec<super::a::A>) {}";
    assert_eq!(circles_of_two("pub struct A; fn f() { let _ = crate::b::B; }", b), [A_AND_B]);
    assert_eq!(circles_of_two("use crate::b; pub struct A; fn f(_: &b::B) {}", b), [A_AND_B]);
    assert_eq!(circles_of_two("pub struct A; fn f() { use crate::b::*; let _ = B; }", b), [A_AND_B]);
}

#[test]
fn paths_in_macros_and_attributes_make_a_circle() {
    let b = "pub struct B; fn f(_: crate::a::A) {}";
    assert_eq!(circles_of_two("pub struct A; fn f() { own!(\"{}\", crate::b::B) }", b), [A_AND_B]);
    assert_eq!(circles_of_two("use crate::b; pub struct A; fn f() { vec![b::B] }", b), [A_AND_B]);
    assert_eq!(circles_of_two("pub struct A { #[serde(with = \"crate::b::B\")] x: u8 }", b), [A_AND_B]);
    assert_eq!(circles_of_two("#[arg(parser = crate::b::B)] pub struct A;", b), [A_AND_B]);
}

#[test]
fn a_macro_depends_from_where_it_is_called() {
    let a = "macro_rules! text { () => { crate::b::B } } pub(crate) use text;";
    for (call, name) in [("text!()", "text!"), ("crate::text!()", "text!"), ("crate::a::text!()", "text")] {
        let found = circles_of_two(a, &format!("pub struct B; fn f() {{ {call} }}"));
        assert_eq!(found, [format!("a circle of 2 files\n  a.rs -> b.rs: B\n  b.rs -> a.rs: {name}")]);
    }
}

#[test]
fn a_re_export_is_followed_to_what_it_stands_for() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b; mod c; pub use b::inner::B;"),
        ("a.rs", "use crate::B; pub struct A;"),
        ("b.rs", "pub mod inner;"),
        ("b/inner.rs", "use crate::c::*; pub struct B(A);"),
        ("c.rs", "pub use crate::a::A;"),
    ]);
    assert_eq!(found, ["a circle of 2 files\n  a.rs -> b/inner.rs: B\n  b/inner.rs -> a.rs: A"]);
}

#[test]
fn a_parent_that_only_declares_and_re_exports_is_in_no_circle() {
    let found = circles(&[
        ("lib.rs", "mod a; pub use a::{One, Two};"),
        ("a.rs", "mod one; mod two; pub use one::One; pub(crate) use two::*;"),
        ("a/one.rs", "use super::Two; use crate::a; pub struct One(Two, a::Two);"),
        ("a/two.rs", "pub struct Two;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_parent_above_its_children_is_in_no_circle() {
    let found = circles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod one; mod two; use one::One; pub fn all(_: One, _: two::Two) {}"),
        ("a/one.rs", "use super::two::Two; pub struct One(Two);"),
        ("a/two.rs", "pub struct Two;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_parent_that_uses_its_children_and_defines_what_they_use_is_in_a_circle() {
    let want = "a circle of 2 files\n  a.rs -> a/one.rs: One\n  a/one.rs -> a.rs: Shared";
    let one = ("a/one.rs", "use super::Shared; pub struct One(Shared);");
    for a in [
        "mod one; pub struct Shared; fn f(_: one::One) {}",
        "mod one; use one::One; pub struct Shared; fn f(_: One) {}",
        // The re-export alone would be none.
        "mod one; pub use one::One; pub struct Shared; fn f(_: One) {}",
    ] {
        assert_eq!(circles(&[("lib.rs", "mod a;"), ("a.rs", a), one]), [want], "{a}");
    }
    let found =
        circles(&[("lib.rs", "mod a;"), ("a.rs", "mod one; pub struct Shared; pub use one::One;"), one]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn methods_in_another_file_make_a_circle_when_they_are_called_on_self() {
    let impl_in_b = "use crate::a::A; impl A { pub fn go(&self) {} pub const MAX: u8 = 1; }";
    let want = |name: &str| format!("a circle of 2 files\n  a.rs -> b.rs: A::{name}\n  b.rs -> a.rs: A");
    for (call, name) in
        [("self.go()", "go"), ("A::go(self)", "go"), ("own!(self.go())", "go"), ("Self::MAX", "MAX")]
    {
        let a = format!("pub struct A; impl A {{ fn f(&self) {{ {call} }} }}");
        assert_eq!(circles_of_two(&a, impl_in_b), [want(name)], "{call}");
    }
    let another = "pub struct A; struct C; impl C { fn f(&self) { self.go() } fn go(&self) {} }";
    assert!(circles_of_two(another, impl_in_b).is_empty(), "the method of another type");
}

#[test]
fn what_a_macro_makes_belongs_to_the_file_that_calls_the_macro() {
    let a = "bindgen!(\"x\"); use crate::b::B; fn f(_: B) {}";
    let found = circles_of_two(a, "pub struct B; fn f(_: crate::a::made::Thing) {}");
    assert_eq!(found, ["a circle of 2 files\n  a.rs -> b.rs: B\n  b.rs -> a.rs: made"]);
}

#[test]
fn tests_do_not_count() {
    let b = "pub struct B; fn f(_: crate::a::A) {}";
    for a in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; #[cfg(test)] use crate::b::B;",
        "pub struct A; #[test] fn f() { crate::b::B; }",
        "pub struct A; impl A { #[cfg(test)] fn f() { crate::b::B; } }",
        "pub struct A { #[cfg(test)] b: crate::b::B }",
        "pub struct A; #[cfg(test)] mod tests;",
    ] {
        let found = circles_of_two(a, b);
        assert!(found.is_empty(), "{a}: {found:?}");
    }
}

#[test]
fn other_crates_and_names_of_fields_are_nothing_of_ours() {
    let b = "pub struct B; pub fn report(_: crate::a::A) {}";
    for a in [
        "use b::B; pub struct A;",
        "use ::b::B; pub struct A;",
        "use http::Uri as B; pub struct A(B);",
        "use crate::b; pub struct A { b: u8 } fn f(a: A) -> u8 { log!(b = a.b); a.b }",
    ] {
        let found = circles_of_two(a, b);
        assert!(found.is_empty(), "{a}: {found:?}");
    }
}

#[test]
fn modules_are_found_inline_by_path_and_in_both_styles() {
    let found = circles(&[
        ("lib.rs", "#[path = \"elsewhere/x.rs\"] mod a; mod b { mod c; pub use c::C; } mod d;"),
        ("elsewhere/x.rs", "pub mod y; pub struct A(crate::b::C);"),
        ("elsewhere/y.rs", "pub struct Y;"),
        ("b/c.rs", "pub struct C(crate::d::e::E);"),
        ("d/mod.rs", "pub mod e;"),
        ("d/e.rs", "pub struct E(crate::a::A, crate::a::y::Y);"),
    ]);
    let want = "a circle of 3 files\n  elsewhere/x.rs -> b/c.rs: C\n  b/c.rs -> d/e.rs: E\n  \
                d/e.rs -> elsewhere/x.rs: A";
    assert_eq!(found, [want]);
}

#[test]
fn imports_that_lead_back_to_themselves_end() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b; pub use a::*; pub use b::*; pub use self::a::a;"),
        ("a.rs", "pub use crate::*; pub fn a() { missing(); b(); }"),
        ("b.rs", "pub use crate::b as other; use crate::*; pub fn b() { a() }"),
    ]);
    assert_eq!(found, ["a circle of 2 files\n  a.rs -> b.rs: b\n  b.rs -> a.rs: a"]);
}

#[test]
fn modules_can_be_in_a_circle_when_no_files_are() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub mod high; pub mod low;"),
        ("a/high.rs", "pub struct High(crate::b::B);"),
        ("a/low.rs", "pub struct Low;"),
        ("b.rs", "pub struct B(crate::a::low::Low);"),
    ]);
    let want = "a circle of 2 modules\n  a -> b: a/high.rs -> b.rs\n  b -> a: b.rs -> a/low.rs";
    assert_eq!(found, [want]);
}

#[test]
fn a_module_without_a_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lib.rs"), "mod gone;").unwrap();
    let error = check(&folder.path().join("lib.rs")).err().unwrap();
    let error = format!("{error:#}");
    assert!(error.contains("`mod gone;`") && error.contains("lib.rs"), "{error}");
}
