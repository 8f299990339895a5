//! Runners that take more than there is: memory, tables, stack, handles, files.

use serde_json::Value;

use crate::pen::{Expect::Fails, Pen};
use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::{guest, plugins_with};

/// Grows until it is refused, and traps then.
const GROW_ONE: &str = "(loop $again
  (br_if $again (i32.ne (memory.grow $main (i32.const 256)) (i32.const -1)))) unreachable";
const GROW_MANY: &str = "(loop $again
  (drop (memory.grow $main (i32.const 16)))
  (drop (memory.grow $second (i32.const 16)))
  (br_if $again (i32.ne (memory.grow $third (i32.const 16)) (i32.const -1)))) unreachable";
const GROW_TABLE: &str = "(loop $again
  (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)))) unreachable";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_that_take_too_much_are_ended_by_name() {
    let limits = "[limits]\nmemory_bytes = 67108864\ndeadline_ms = 20000\n";
    let rust = ["memory_bomb", "memory_fill", "recurse", "handle_flood", "scratch_fill", "file_flood"];
    let plugins = plugins_with(&rust.map(guest).iter().map(AsRef::as_ref).collect::<Vec<_>>());
    let write = |name: &str, bytes: &[u8], policy: &str| {
        std::fs::write(plugins.path().join(format!("{name}.wasm")), bytes).expect("a component");
        std::fs::write(plugins.path().join(format!("{name}.toml")), policy).expect("a policy");
    };
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
        write(name, &runner(name, &parts), limits);
    }
    for (name, policy) in [
        ("memory_bomb", limits),
        ("memory_fill", "[limits]\nmemory_bytes = 536870912\ndeadline_ms = 1500\n"),
        ("recurse", limits),
        ("handle_flood", "[limits]\nhandles = 50\n"),
        ("scratch_fill", "[limits]\nscratch_bytes = 10000000\n"),
        ("file_flood", "[limits]\nscratch_files = 500\n"),
    ] {
        std::fs::write(plugins.path().join(format!("{name}.toml")), policy).expect("a policy");
    }

    let mut pen = Pen::with_plugins(plugins, &[]).await;
    let memory = ["`memory_bytes` of 67108864", "NAME.toml: [limits] memory_bytes", "\"value\":67108864"];
    for (behaviour, name, wanted) in [
        ("a memory bomb", "memory_bomb", memory.as_slice()),
        ("a memory bomb in one memory", "grow_one", &memory),
        ("a memory bomb in many memories", "grow_many", &memory),
        ("a table bomb", "grow_table", &["`table_elements` of 100000"]),
        ("a huge memory.fill", "memory_fill", &["`deadline_ms` of 1500"]),
        ("an endless recursion", "recurse", &["its stack overflowed", "backtrace", "recurse::deeper"]),
        ("a stack overflow", "overflow", &["the stack overflowed", "backtrace"]),
        ("a handle flood", "handle_flood", &["`handles`"]),
        ("a flood of WASI 0.3 streams", "streams", &["`handles` of 1024"]),
        ("scratch fill", "scratch_fill", &["`scratch_bytes` of 10000000"]),
        ("a flood of files", "file_flood", &["`scratch_files` of 500"]),
    ] {
        pen.check(behaviour, name, Value::Null, Fails(wanted)).await;
    }
    pen.close().await;
}
