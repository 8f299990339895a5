//! Guests that use too much of a resource: memory, tables, stack, handles, files.

use posemesh_devnet::TaskStatus;
use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::guests::{FILE_FLOOD, HANDLE_FLOOD, MEMORY_BOMB, MEMORY_FILL, RECURSE, SCRATCH_FILL};
use serde_json::Value;

use crate::shared_node::Expect::{Completes, Fails};
use crate::shared_node::{SharedNode, guests_with_policies};

/// Grows until the host refuses, then traps.
const GROW_ONE: &str = "(loop $again
  (br_if $again (i32.ne (memory.grow $main (i32.const 256)) (i32.const -1)))) unreachable";
const GROW_MANY: &str = "(loop $again
  (drop (memory.grow $main (i32.const 16)))
  (drop (memory.grow $second (i32.const 16)))
  (br_if $again (i32.ne (memory.grow $third (i32.const 16)) (i32.const -1)))) unreachable";
const GROW_TABLE: &str = "(loop $again
  (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)))) unreachable";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn runners_that_take_too_much_are_ended_by_name() {
    let limits = "[limits]\nmemory_bytes = 67108864\ndeadline_ms = 20000\n";
    let plugins = guests_with_policies(&[
        (MEMORY_BOMB, limits),
        (MEMORY_FILL, "[limits]\nmemory_bytes = 536870912\ndeadline_ms = 1500\n"),
        (RECURSE, limits),
        (HANDLE_FLOOD, "[limits]\nhandles = 50\n"),
        (SCRATCH_FILL, "[limits]\nscratch_bytes = 10000000\n"),
        (FILE_FLOOD, "[limits]\nscratch_files = 500\n"),
    ]);
    let by_hand = [
        ("grow_one", Parts { run: GROW_ONE, ..Parts::default() }),
        (
            "grow_many",
            Parts { fields: "(memory $second 1) (memory $third 1)", run: GROW_MANY, ..Parts::default() },
        ),
        ("grow_table", Parts { fields: "(table $t 1 funcref)", run: GROW_TABLE, ..Parts::default() }),
        (
            "streams",
            Parts {
                before: "(type $stream (stream u8)) (core func $new (canon stream.new $stream))
                         (core instance $host (export \"new\" (func $new)))",
                with: "(with \"host\" (instance $host))",
                imports: "(import \"host\" \"new\" (func $new (result i64)))",
                run: "(loop $again (drop (call $new)) (br $again))",
                ..Parts::default()
            },
        ),
        (
            "overflow",
            Parts { fields: "(func $deeper (call $deeper))", run: "(call $deeper)", ..Parts::default() },
        ),
    ];
    for (name, parts) in by_hand {
        std::fs::write(plugins.path().join(format!("{name}.wasm")), runner(name, &parts))
            .expect("a component");
        std::fs::write(plugins.path().join(format!("{name}.toml")), limits).expect("a policy");
    }

    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    let memory = ["`memory_bytes` of 64MiB", "NAME.toml: [limits] memory_bytes", "\"value\":67108864"];
    for (behaviour, name, wanted) in [
        ("a memory bomb", MEMORY_BOMB.name, memory.as_slice()),
        ("a memory bomb in one memory", "grow_one", &memory),
        ("a memory bomb in many memories", "grow_many", &memory),
        ("a table bomb", "grow_table", &["`table_elements` of 100000"]),
        ("a huge memory.fill", MEMORY_FILL.name, &["`deadline_ms` of 1500"]),
        ("an endless recursion", RECURSE.name, &["its stack overflowed", "backtrace", "recurse::deeper"]),
        ("a stack overflow", "overflow", &["`stack_bytes` of 1MiB", "the stack overflowed", "backtrace"]),
        ("a handle flood", HANDLE_FLOOD.name, &["`handles`"]),
        ("a flood of WASI 0.3 streams", "streams", &["`handles` of 1024"]),
        ("scratch fill", SCRATCH_FILL.name, &["`scratch_bytes` of 10000000"]),
        ("a flood of files", FILE_FLOOD.name, &["`scratch_files` of 500"]),
    ] {
        shared.check(behaviour, name, Value::Null, Fails(wanted)).await;
    }
    shared.close().await;
}

/// Grows by 256 MiB, and keeps them for a while.
const GROW_AND_STAY: &str =
    "(if (i32.eq (memory.grow $main (i32.const 4096)) (i32.const -1)) (then unreachable))
  (loop $again
    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (br_if $again (global.get $left)))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tasks_had_at_once_is_not_missing_to_those_that_follow() {
    let plugins = tempfile::tempdir().expect("a folder");
    let parts = Parts {
        fields: "(global $left (mut i32) (i32.const 300000000))",
        run: GROW_AND_STAY,
        ..Parts::default()
    };
    std::fs::write(plugins.path().join("stay.wasm"), runner("stay", &parts)).expect("a component");
    std::fs::write(plugins.path().join("stay.toml"), "[limits]\nmemory_bytes = 314572800\n")
        .expect("a policy");
    let mut shared = SharedNode::with_plugins(plugins, &[("MAX_CONCURRENCY", "6")]).await;
    shared.wait_live("stay", 1).await;
    let at_once: Vec<_> = (0..4).map(|_| shared.submit("stay", Value::Null)).collect();
    for task in at_once {
        let state = shared.ended("at once", task).await;
        assert_eq!(state.status, TaskStatus::Completed, "{state:?}");
    }
    for _ in 0..2 {
        shared.check("alone, after many at once", "stay", Value::Null, Completes).await;
    }
    shared.close().await;
}

/// Is refused memory, goes on without it, and divides by zero.
const COPE_AND_DIVIDE: &str = "(drop (memory.grow $main (i32.const 60000)))
  (drop (i32.div_s (i32.const 1) (i32.const 0)))";
/// Is refused memory, takes less, and aborts.
const COPE_AND_ABORT: &str = "(drop (memory.grow $main (i32.const 60000)))
  (drop (memory.grow $main (i32.const 1))) unreachable";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_growth_that_a_runner_coped_with_is_not_told_as_the_cause() {
    let forged = r#"(func $"f\0a   1: 0x1 - host!read_secret" unreachable)"#;
    let by_hand = [
        ("cope_and_divide", Parts { run: COPE_AND_DIVIDE, ..Parts::default() }),
        ("cope_and_abort", Parts { run: COPE_AND_ABORT, ..Parts::default() }),
        (
            "forged_frame",
            Parts {
                fields: forged,
                run: r#"(call $"f\0a   1: 0x1 - host!read_secret")"#,
                ..Parts::default()
            },
        ),
    ];
    let plugins = tempfile::tempdir().expect("a folder");
    for (name, parts) in by_hand {
        std::fs::write(plugins.path().join(format!("{name}.wasm")), runner(name, &parts))
            .expect("a component");
    }
    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    let refused = "(earlier, more was refused to it by its limit `memory_bytes` of 512MiB)";
    let divided: &[&str] =
        &["the runner trapped: wasm trap: integer divide by zero", refused, "\"kind\":\"trap\""];
    let aborted: &[&str] =
        &["the runner trapped: unreachable code was reached", refused, "\"kind\":\"trap\""];
    // In JSON a line break that is escaped has two backslashes.
    let forged: &[&str] = &[r"f\\n   1: 0x1 - host!read_secret"];
    for (behaviour, name, wanted) in [
        ("a division by zero after a refused growth", "cope_and_divide", divided),
        ("an abort after a refused growth and another that succeeded", "cope_and_abort", aborted),
        ("a function whose name looks like a frame", "forged_frame", forged),
    ] {
        shared.check(behaviour, name, Value::Null, Fails(wanted)).await;
    }
    shared.close().await;
}
