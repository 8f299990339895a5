use super::*;

const MIB: u64 = 1 << 20;

fn priced(text: &str) -> Footprint {
    footprint(&wat::parse_str(text).unwrap()).unwrap()
}

fn globals(count: usize) -> String {
    "(global (mut i64) (i64.const 0))".repeat(count)
}

#[test]
fn every_instance_of_a_module_counts_with_its_globals() {
    let module = format!("(core module $m {})", globals(100_000));
    let once = priced(&format!("(component {module} (core instance (instantiate $m)))"));
    assert!((1_600_000..1_700_000).contains(&once.host_bytes), "{once:?}");
    let thrice = "(core instance (instantiate $m))".repeat(3);
    let thrice = priced(&format!("(component {module} {thrice})"));
    assert!((4_800_000..5_000_000).contains(&thrice.host_bytes), "{thrice:?}");
    let never = priced(&format!("(component {module})"));
    assert!(never.host_bytes < 10_000, "a module alone costs nothing: {never:?}");
}

#[test]
fn instances_of_nested_components_multiply() {
    let text = format!(
        "(component
           (core module $m {})
           (component $inner
             (alias outer 1 $m (core module $m))
             (core instance (instantiate $m)) (core instance (instantiate $m)))
           (component $outer
             (alias outer 1 $inner (component $inner))
             (instance (instantiate $inner)) (instance (instantiate $inner)))
           (instance (instantiate $outer)) (instance (instantiate $outer)))",
        globals(10_000)
    );
    let found = priced(&text).host_bytes;
    assert!((8 * 160_000..8 * 180_000).contains(&found), "eight instances: {found}");
}

#[test]
fn a_module_that_is_handed_in_counts_as_the_largest_of_the_file() {
    let text = format!(
        "(component
           (core module $m {})
           (component $c (import \"m\" (core module $m)) (core instance (instantiate $m)))
           (instance (instantiate $c (with \"m\" (core module $m)))))",
        globals(10_000)
    );
    assert!(priced(&text).host_bytes >= 160_000, "{:?}", priced(&text));
}

#[test]
fn a_module_that_is_defined_after_the_component_that_is_handed_it_counts_too() {
    let text = format!(
        "(component
           (component $c (import \"m\" (core module $m)) (core instance (instantiate $m)))
           (core module $m {})
           (instance (instantiate $c (with \"m\" (core module $m)))))",
        globals(10_000)
    );
    assert!(priced(&text).host_bytes >= 160_000, "{:?}", priced(&text));
}

#[test]
fn passive_elements_and_function_references_count() {
    let items = "$f ".repeat(100_000);
    let passive = format!(
        "(component (core module $m (func $f) (elem func {items}))
        (core instance (instantiate $m)))"
    );
    assert!(priced(&passive).host_bytes >= 1_600_000, "{:?}", priced(&passive));
    let active = format!(
        "(component (core module $m (func $f) (table 100000 funcref) (elem (i32.const 0) func {items}))
        (core instance (instantiate $m)))"
    );
    assert!(priced(&active).host_bytes < 10_000, "one function, however often: {:?}", priced(&active));
}

#[test]
fn the_first_memory_is_told_apart() {
    let text = "(component (core module $m (memory 16)) (core instance (instantiate $m))
        (core instance (instantiate $m)))";
    assert_eq!(priced(text).memory_bytes, 2 * MIB);
    assert!(priced(text).host_bytes < 20_000, "{:?}", priced(text));
}

#[test]
fn what_is_no_component_is_an_error_or_costs_nothing() {
    footprint(b"\0asm\x0d\0\x01\0\xff").unwrap_err();
    assert_eq!(footprint(b"\0asm\x0d\0\x01\0").unwrap().memory_bytes, 0);
}

#[test]
fn only_instances_of_one_size_and_one_stack_are_given_places() {
    let table =
        |limits: &str| format!("(core module $m (table {limits} funcref)) (core instance (instantiate $m))");
    let lifted = |options: &str| {
        format!(
            "(core module $m (func (export \"f\") {}) (func (export \"c\") (param i32 i32 i32) (result i32) i32.const 0))
             (core instance $i (instantiate $m))
             (func (export \"f\") {} (canon lift (core func $i \"f\") {options}))",
            if options.contains("callback") { "(result i32) i32.const 0" } else { "" },
            if options.is_empty() { "" } else { "async" },
        )
    };
    let poolable = |body: &str| priced(&format!("(component {body})")).poolable;
    assert!(poolable("") && poolable(&table("4 4")) && poolable(&lifted("")));
    assert!(!poolable(&table("4")) && !poolable(&table("4 5")), "a table that grows");
    assert!(
        !poolable(&format!("(component $c {}) (instance (instantiate $c))", table("4"))),
        "in a nested one"
    );
    assert!(!poolable(&lifted("async")) && !poolable(&lifted("async (callback (func $i \"c\"))")));
    assert!(!poolable("(core func (canon task.cancel))"), "calls beside each other");
    assert!(!poolable("(core func (canon waitable-set.new))"));
}
