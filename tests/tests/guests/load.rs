//! Components that do harm, or are broken, before they run: each is refused by name, while tasks continue.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use posemesh_tests::by_hand::{Parts, runner, text};
use posemesh_tests::guests::{COPY, GREEDY_DESCRIBE, RUDE_DESCRIBE, SPIN_IN_DESCRIBE};
use posemesh_tests::plugin;
use serde_json::Value;

use crate::shared_node::Expect::Completes;
use crate::shared_node::SharedNode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn components_that_can_not_be_runners_are_refused_by_name() {
    let plugins = tempfile::tempdir().expect("a folder");
    let bounds = [
        ("COMPILE_TIMEOUT_SECS", "20"),
        ("COMPILE_MEMORY_BYTES", "512MiB"),
        ("MAX_COMPONENT_BYTES", "32MiB"),
    ];
    let mut shared = SharedNode::with_plugins(plugins, &bounds).await;
    // A good runner among all these must be loaded.
    put(&shared, COPY.name, &COPY.bytes());
    let refusals = [
        ("an endless loop in describe", SPIN_IN_DESCRIBE, "did not describe itself: it reached cpu_time_ms"),
        (
            "control characters in a description",
            RUDE_DESCRIBE,
            "summary \"\\u{1b}[2Jall is well\" has control",
        ),
        ("a description that claims too much", GREEDY_DESCRIBE, "it names 50000 capabilities; 1 to 32"),
    ];
    let mut cases: Vec<(&str, &str, String)> = Vec::new();
    for (behaviour, guest, reason) in refusals {
        put(&shared, guest.name, &guest.bytes());
        cases.push((behaviour, guest.name, reason.to_owned()));
    }
    for (behaviour, name, bytes, reason) in by_hand() {
        put(&shared, name, &bytes);
        cases.push((behaviour, name, reason.to_owned()));
    }
    two_hundred_megabytes(&shared.plugins.path().join("huge.wasm"));
    cases.push(("a component of 200 MB", "huge", "more than the 32MiB that a component may have".to_owned()));

    for (behaviour, name, reason) in &cases {
        let began = Instant::now();
        let neighbour = shared.neighbour();
        shared.node.wait_for_log(&format!("{name}.wasm")).await;
        shared.node.wait_for_log(reason).await;
        let log = shared.node.log();
        let reported =
            log.lines().any(|line| line.contains(&format!("{name}.wasm")) && line.contains(reason));
        if !reported {
            shared.note(behaviour, format!("no line of the log says {reason:?} of {name}.wasm"));
        }
        shared.finish(behaviour, began, neighbour, None).await;
    }
    shared.wait_live(COPY.name, 1).await;
    shared.check("a good runner among the broken ones", COPY.name, Value::Null, Completes).await;
    shared.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_files_never_harm_the_node() {
    let whole = std::fs::read(plugin("noop")).expect("the noop runner");
    let plugins = tempfile::tempdir().expect("a folder");
    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    let began = Instant::now();
    let neighbour = shared.neighbour();
    let mut names = Vec::new();
    for part in [1, 3, 7] {
        let name = format!("truncated-{part}");
        put(&shared, &name, &whole[..whole.len() * part / 8]);
        names.push(name);
    }
    // At the same places each time, over the whole file; a few change bytes that are not read, which is fine.
    for n in 0..16 {
        let mut bytes = whole.clone();
        let at = 8 + (bytes.len() - 8) * n / 16 + n * 7;
        bytes[at] ^= 1 << (n % 8);
        let name = format!("flipped-{n}");
        put(&shared, &name, &bytes);
        names.push(name);
    }
    for name in names {
        // Refused or loaded, each is logged by its name.
        shared.node.wait_for_log(&name).await;
    }
    let log = shared.node.log();
    for name in ["truncated-1", "truncated-3", "truncated-7"] {
        let message = format!("{name}.wasm does not compile, so it is broken or cut short");
        if !log.contains(&message) {
            shared.note("a truncated component", format!("{message:?} is not in the log"));
        }
    }
    shared.finish("truncated and bit-flipped components", began, neighbour, None).await;
    shared.close().await;
}

/// The component of a program rather than a runner.
const WRONG_WORLD: &str = "(component (instance $run) (export \"wasi:cli/run@0.2.0\" (instance $run)))";

/// Behaviour, name, component, and the reason of the refusal.
fn by_hand() -> Vec<(&'static str, &'static str, Vec<u8>, &'static str)> {
    let trap = Parts { fields: "(func $start unreachable) (start $start)", ..Parts::default() };
    let instances = (0..100).map(|_| "(core instance (instantiate $empty))").collect::<String>();
    let instances = format!("(core module $empty (memory 0)) {instances}");
    let instances = Parts { before: &instances, ..Parts::default() };
    let table = Parts { fields: "(table 50000000 funcref)", ..Parts::default() };
    let old = Parts { version: "0.1.0", ..Parts::default() };
    let newer = Parts { version: "0.9.0", ..Parts::default() };
    let foreign = Parts { before: "(import \"acme:db/query@1.0.0\" (instance))", ..Parts::default() };
    let candidate =
        Parts { before: "(import \"wasi:cli/run@0.3.0-rc-2026-01-06\" (instance))", ..Parts::default() };
    let http = Parts { before: "(import \"wasi:http/client@0.3.0\" (instance))", ..Parts::default() };
    let by_text = |text: &str| wat::parse_str(text).expect("text");
    let missing = text("missing", &Parts::default());
    let missing = missing.replace("(export \"describe\" (func $describe))", "");
    vec![
        ("a trap at start", "trap_at_start", runner("trap_at_start", &trap), "unreachable code was reached"),
        ("an instance bomb", "instances", runner("instances", &instances), "it reached instances of 64"),
        ("a table that is too large at once", "table", runner("table", &table), "table_elements"),
        (
            "a contract of another version",
            "newer",
            runner("newer", &newer),
            "in version 0.9.0, which is newer than this node, which runs 0.1.0 and 0.2.0: update the node, or rebuild",
        ),
        (
            "a contract that is older than all that is served",
            "older_still",
            runner("older_still", &Parts { version: "0.0.9", ..Parts::default() }),
            "in version 0.0.9, which is older than what this node runs, 0.1.0 and 0.2.0: rebuild the runner",
        ),
        (
            "a record of an older version under the newest one",
            "record",
            by_text(&text("record", &old).replace("entry@0.1.0", "entry@0.2.0")),
            "its record `requests` lacks the field `artifacts` of 0.2.0",
        ),
        (
            "an import that nobody offers",
            "foreign",
            runner("foreign", &foreign),
            "acme:db/query@1.0.0, which no node",
        ),
        (
            "a WASI release candidate",
            "candidate",
            runner("candidate", &candidate),
            "a release candidate of WASI 0.3.0",
        ),
        ("HTTP of WASI 0.3", "http3", runner("http3", &http), "offered as wasi:http 0.2 only"),
        ("a wrong world", "world", by_text(WRONG_WORLD), "does not export posemesh:runner/entry@0.2.0"),
        ("a missing export", "missing", by_text(&missing), "describe"),
        (
            "a component with garbage collection",
            "gc",
            runner("gc", &Parts { fields: "(type (struct (field i32)))", ..Parts::default() }),
            "needs what this node does not run of WebAssembly: garbage collection (gc)",
        ),
        (
            "a component with 64-bit memories and threads",
            "memory64",
            runner("memory64", &Parts { fields: "(memory i64 1) (memory 1 1 shared)", ..Parts::default() }),
            "threads and shared memory (threads), 64-bit memories (memory64); nothing is broken",
        ),
        ("a core module instead of a component", "core", by_text("(module)"), "it is a core module"),
        ("an empty component", "nothing", by_text("(component)"), "it exports nothing"),
        (
            "a file that is no WebAssembly",
            "script",
            b"#!/bin/sh\nrm -rf /\n".to_vec(),
            "does not start with the bytes",
        ),
        ("a component that explodes on compile", "explodes", explodes(), "to compile"),
    ]
}

/// Small to read and enormous to compile: the work of the compiler is the product of the variables and the
/// branches that they are live across.
fn explodes() -> Vec<u8> {
    const VARIABLES: usize = 2000;
    let locals = "(local i64)".repeat(VARIABLES);
    let branches: String = (0..6000)
        .map(|n| {
            let (from, to) = (1 + n % VARIABLES, 1 + (n * 7 + 3) % VARIABLES);
            format!(
                "(if (i32.wrap_i64 (local.get {from}))
                   (then (local.set {to} (i64.add (local.get {from}) (local.get {to})))))"
            )
        })
        .collect();
    let last: String = (1..=VARIABLES).map(|n| format!("(local.get {n}) i64.xor ")).collect();
    let function = format!(
        "(func (param i64) (result i64) {locals}
           (loop $again {branches} (br_if $again (i32.wrap_i64 (local.get 1))))
           (i64.const 0) {last})"
    );
    runner("explodes", &Parts { fields: &function.repeat(24), ..Parts::default() })
}

/// A sparse file: it takes no space here, and whoever reads it reads all of it.
fn two_hundred_megabytes(path: &Path) {
    let mut file = std::fs::File::create(path).expect("a file");
    file.write_all(b"\0asm\x0d\0\x01\0").expect("written");
    file.seek(SeekFrom::Start(200_000_000)).expect("there");
    file.write_all(b"\0").expect("written");
}

fn put(shared: &SharedNode, name: &str, bytes: &[u8]) {
    std::fs::write(shared.plugins.path().join(format!("{name}.wasm")), bytes).expect("a component");
}
