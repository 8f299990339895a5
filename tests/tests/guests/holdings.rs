//! Guests that take no memory of their own to speak of, and make the host hold it for them. Each ends by the name of a
//! limit, or is not loaded; meanwhile the node with its processes grows by what the runner may have and what the node sets
//! aside for any task, and no more.

use posemesh_tests::by_hand::{Parts, runner, runner_beside};
use posemesh_tests::guests::{GREEDY, HOARD, NESTED};
use serde_json::{Value, json};

use crate::shared_node::Expect::{self, Completes, Fails};
use crate::shared_node::{SharedNode, guests_with_policies};
use crate::usage::{descriptors, threads};

const MIB: u64 = 1 << 20;
/// What the greedy may have.
const MEMORY: u64 = 64 * MIB;
/// What the node sets aside for a task beside that, with as much for the neighbour, which runs at the same time.
const TASKS: u64 = 2 * 48 * MIB;
/// What every runner here is granted. More handles than by default, so that memory is what ends.
const POLICY: &str = "[limits]\nmemory_bytes = 67108864\nhandles = 2048\nartifacts = 20\ndeadline_ms = 60000\ncpu_time_ms = 60000\n\
     [breaker]\nenabled = false\n";

/// A module that calls `new` of the component model until it is ended.
fn without_end(declared: &str, imported: &str, call: &str) -> (String, String, String) {
    let before = format!("{declared} (core instance $host (export \"new\" (func $new)))");
    (before, format!("(import \"host\" \"new\" {imported})"), format!("(loop $again {call} (br $again))"))
}

/// What is made by the component model itself, without any function of the host.
fn made_by_built_ins() -> [(&'static str, (String, String, String)); 4] {
    let resource = "(type $r (resource (rep i32))) (core func $new (canon resource.new $r))";
    let future = "(type $f (future u8)) (core func $new (canon future.new $f))";
    let set = "(core func $new (canon waitable-set.new))";
    [
        (
            "resources",
            without_end(resource, "(func $new (param i32) (result i32))", "(drop (call $new (i32.const 1)))"),
        ),
        ("futures", without_end(future, "(func $new (result i64))", "(drop (call $new))")),
        ("waitable_sets", without_end(set, "(func $new (result i32))", "(drop (call $new))")),
        (
            "resources_at_start",
            without_end(resource, "(func $new (param i32) (result i32))", "(drop (call $new (i32.const 1)))"),
        ),
    ]
}

/// A runner whose calls of other components wait, each on a stack of its own in the host's memory. They have no core
/// instance, so that their number is not bounded by that of instances.
fn stacks(name: &str, count: usize) -> Vec<u8> {
    let mut root = r#"(import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
        (export "wait-for" (func async (param "how-long" u64)))))
      (component $Waits
        (import "wait" (func $wait async (param "how-long" u64)))
        (core func $lowered (canon lower (func $wait)))
        (func $f async (param "how-long" u64) (canon lift (core func $lowered)))
        (export "f" (func $f)))"#
        .to_owned();
    let [mut before, mut with, mut exports, mut imports, mut run] = [const { String::new() }; 5];
    for k in 0..count {
        root += &format!("(instance $i{k} (instantiate $Waits (with \"wait\" (func $clock \"wait-for\"))))");
        before += &format!(
            "(import \"f{k}\" (func $g{k} async (param \"how-long\" u64))) (core func $f{k} (canon lower (func $g{k}) async))"
        );
        with += &format!("(with \"f{k}\" (func $i{k} \"f\"))");
        exports += &format!("(export \"f{k}\" (func $f{k}))");
        imports += &format!("(import \"host\" \"f{k}\" (func $f{k} (param i64) (result i32)))");
        run += &format!("(drop (call $f{k} (i64.const 60000000000)))");
    }
    before += &format!("(core instance $host {exports})");
    let host = "(with \"host\" (instance $host))";
    let parts = Parts { before: &before, imports: &imports, run: &run, with: host, ..Parts::default() };
    runner_beside(name, &parts, &root, &with)
}

/// Writes a runner by hand and its policy.
fn put(plugins: &std::path::Path, name: &str, parts: &Parts<'_>, policy: &str) {
    std::fs::write(plugins.join(format!("{name}.wasm")), runner(name, parts)).expect("a component");
    std::fs::write(plugins.join(format!("{name}.toml")), policy).expect("a policy");
}

/// Instances that cost more than they may, before their first instruction.
fn costly(plugins: &std::path::Path) {
    let instances = |module: &str, count: usize| {
        format!("(core module $costly {module}) {}", "(core instance (instantiate $costly))".repeat(count))
    };
    let globals = instances(&"(global i64 (i64.const 0))".repeat(100_000), 60);
    let parts = Parts { before: &globals, ..Parts::default() };
    put(plugins, "globals", &parts, "[limits]\nmemory_bytes = 1048576\n");
    let elements = instances(&format!("(func $f) (elem func {})", "$f ".repeat(100_000)), 60);
    let parts = Parts { before: &elements, ..Parts::default() };
    put(plugins, "elements", &parts, "[limits]\nmemory_bytes = 16777216\n");
    let tables = Parts { fields: &"(table 1 funcref) ".repeat(70), ..Parts::default() };
    put(plugins, "tables", &tables, "");
    let stack = Parts { fields: "(func $deeper (call $deeper)) (start $deeper)", ..Parts::default() };
    put(plugins, "stack_at_start", &stack, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn what_the_host_holds_for_a_guest_counts_as_the_guests_memory() {
    let plugins = guests_with_policies(&[(GREEDY, POLICY), (HOARD, SMALL_DISK), (NESTED, SMALL_DISK)]);
    for (name, (before, imports, run)) in &made_by_built_ins() {
        let with = "(with \"host\" (instance $host))";
        let start = format!("(func $start {run}) (start $start)");
        let at_start = name.ends_with("_at_start");
        let (fields, run) = if at_start { (start.as_str(), "") } else { ("", run.as_str()) };
        let policy = if at_start { "" } else { "[limits]\nhandles = 500\n" };
        put(plugins.path(), name, &Parts { before, with, imports, fields, run, ..Parts::default() }, policy);
    }
    let grow = "(loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1))))
                unreachable";
    let grow = Parts { fields: "(table $t 1 funcref)", run: grow, ..Parts::default() };
    put(plugins.path(), "pointers", &grow, "[limits]\nmemory_bytes = 2097152\ntable_elements = 1000000\n");
    costly(plugins.path());
    std::fs::write(plugins.path().join("stacks.wasm"), stacks("stacks", 100)).expect("a component");
    std::fs::write(plugins.path().join("stacks.toml"), "[limits]\nmemory_bytes = 1048576\n")
        .expect("a policy");

    let mut shared = SharedNode::with_plugins(plugins, &[("COMPILE_TIMEOUT_SECS", "60")]).await;
    for (name, reason) in [
        ("globals", "bytes of memory to start with, and its limit `memory_bytes` is 1MiB"),
        ("elements", "bytes of memory to start with, and its limit `memory_bytes` is 16MiB"),
        ("tables", "it reached instances of 64"),
        ("stack_at_start", "its limit `stack_bytes` of 1MiB"),
        ("resources_at_start", "it reached handles of 1024 in `describe`"),
    ] {
        refused(&mut shared, name, reason).await;
    }
    for name in ["greedy", "hoard", "nested", "resources", "futures", "waitable_sets", "pointers", "stacks"] {
        shared.wait_live(name, 1).await;
    }

    let node = shared.node.id();
    // One quiet task first, so that what a node keeps once it has run anything is there.
    shared.check("a long message", GREEDY.name, json!("message"), Fails(&["`call_bytes` of 16MiB"])).await;
    let before = (descriptors(node), threads(node));
    for (behaviour, how, expect) in greedy() {
        shared.check_bounded(behaviour, GREEDY.name, json!(how), expect, MEMORY + TASKS).await;
    }
    for (behaviour, name, wanted) in [
        ("a flood of the component's own resources", "resources", "`handles` of 500"),
        ("a flood of futures", "futures", "`handles` of 500"),
        ("a flood of sets to wait for", "waitable_sets", "`handles` of 500"),
        ("tables of pointers", "pointers", "`memory_bytes` of 2MiB"),
        ("stacks of calls that wait", "stacks", "`memory_bytes` of 1MiB"),
    ] {
        shared.check_bounded(behaviour, name, Value::Null, Fails(&[wanted]), TASKS).await;
    }
    for (behaviour, runner, how, wanted) in [
        ("open files without a name", HOARD.name, "writes", "`scratch_bytes` of 8MiB"),
        ("stretched files", HOARD.name, "sparse", "`scratch_bytes` of 8MiB"),
        ("links", HOARD.name, "hard_links", "`scratch_files` of 2000"),
        ("folders in folders", NESTED.name, "down", "stopped at level 64"),
    ] {
        shared.check_bounded(behaviour, runner, json!(how), Fails(&[wanted]), TASKS).await;
    }
    let after = (descriptors(node), threads(node));
    if after.0 > before.0 + 64 || after.1 > before.1 + 64 {
        shared.note("all of them", format!("(descriptors, threads) were {before:?} and are {after:?}"));
    }
    shared.close().await;
}

/// What hoarders of files may write.
const SMALL_DISK: &str = "[limits]\nscratch_bytes = 8388608\nscratch_files = 2000\ndeadline_ms = 60000\n[breaker]\nenabled = false\n";

/// What the greedy guest does, and how that ends.
fn greedy() -> Vec<(&'static str, &'static str, Expect<'static>)> {
    const MEMORY: &[&str] = &["`memory_bytes` of 64MiB", "NAME.toml: [limits] memory_bytes"];
    const HANDLES: &[&str] = &["`handles` of 2048"];
    vec![
        ("bodies that are never sent", "bodies", Fails(MEMORY)),
        ("methods with endless names", "methods", Fails(MEMORY)),
        ("headers", "headers", Fails(MEMORY)),
        ("a set of too many headers", "header", Fails(&["`header_bytes` of 64KiB"])),
        ("answers of requests that are refused", "denied", Fails(MEMORY)),
        ("listings of a large folder", "listings", Fails(MEMORY)),
        ("streams of a file", "streams", Fails(HANDLES)),
        ("descriptors", "descriptors", Fails(HANDLES)),
        ("sockets", "sockets", Fails(&["access-denied"])),
        ("a list of a million timers", "pollables", Fails(HANDLES)),
        ("too many random bytes", "random", Fails(&["`random_bytes` of 1MiB", "\"name\":\"random_bytes\""])),
        ("a line without an end", "endless_line", Completes),
        ("giant texts", "giant_texts", Completes),
        ("artifacts", "artifacts", Fails(&["`artifacts` of 20", "\"kind\":\"limit\""])),
    ]
}

/// Waits until a runner was refused for this reason.
async fn refused(shared: &mut SharedNode, name: &str, reason: &str) {
    shared.node.wait_for_log(&format!("{name}.wasm")).await;
    shared.node.wait_for_log(reason).await;
    let log = shared.node.log();
    if !log.lines().any(|line| line.contains(&format!("{name}.wasm")) && line.contains(reason)) {
        shared.note(name, format!("no line of the log says {reason:?} of {name}.wasm"));
    }
}
