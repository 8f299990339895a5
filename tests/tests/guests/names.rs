//! Names that stand for more than they are, too many of them, or too long: whatever is made of them stays small.

use std::time::{Duration, Instant};

use posemesh_tests::NodeProcess;
use posemesh_tests::by_hand::{Parts, runner};
use serde_json::Value;

use crate::shared_node::Expect::Fails;
use crate::shared_node::SharedNode;

/// What the log may grow by for one refusal, in bytes.
const MAX_LOGGED: usize = 32 << 10;
/// What the node's memory may grow by at its peak, in KiB: the largest of these files is held a few times.
const MAX_GROWTH_KIB: u64 = 400 << 10;

/// The most memory that a node has had, in KiB.
fn peak(node: &NodeProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A number in base 36, as C++ names count their substitutions: none for the first.
fn digits(n: usize) -> String {
    let Some(mut number) = n.checked_sub(1) else { return String::new() };
    let mut digits = String::new();
    loop {
        digits.insert(0, char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 36]));
        number /= 36;
        if number == 0 {
            return digits;
        }
    }
}

/// A C++ name whose type takes ten times the space at each level, in some thirty bytes.
fn cpp_bomb(levels: usize) -> String {
    let level = |n: usize| format!("S0_I{}E", format!("S{}_", digits(n)).repeat(10));
    let first = format!("I{}E", "S_".repeat(10));
    format!("_Z1f1A1P{first}{}", (2..levels + 2).map(level).collect::<String>())
}

/// The same as a name of Rust, where a tuple holds the one before twice.
fn rust_bomb(levels: usize) -> String {
    let back = |at: usize| match at {
        0 => "B_".to_owned(),
        at => {
            let (mut number, mut digits) = (at - 1, Vec::new());
            loop {
                let digit = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 62];
                digits.insert(0, char::from(digit));
                number /= 62;
                if number == 0 {
                    break;
                }
            }
            format!("B{}_", digits.into_iter().collect::<String>())
        }
    };
    let mut name = "INvC1a1f".to_owned();
    let mut at = name.len();
    name.push_str("TyyE");
    for _ in 0..levels {
        let next = name.len();
        name.push_str(&format!("T{}{}E", back(at), back(at)));
        at = next;
    }
    format!("_R{name}E")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_explode_freeze_nobody() {
    let bombs = [("cpp", cpp_bomb(30)), ("rust", rust_bomb(60)), ("cpp_long", cpp_bomb(2000))];
    let plugins = tempfile::tempdir().expect("a folder");
    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    let before = peak(&shared.node);
    for (name, bomb) in &bombs {
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let function = format!("(func ${bomb} unreachable)");
        let run = Parts { fields: &function, run: &format!("(call ${bomb})"), ..Parts::default() };
        put(&shared, name, &runner(name, &run));
        let start = format!("{function} (start ${bomb})");
        let describe = format!("{name}_describe");
        put(&shared, &describe, &runner(&describe, &Parts { fields: &start, ..Parts::default() }));
    }
    for (name, _) in &bombs {
        shared.wait_live(name, 1).await;
        shared.node.wait_for_log(&format!("{name}_describe.wasm did not describe itself")).await;
        let began = Instant::now();
        shared
            .check("a trap under an exploding name", name, Value::Null, Fails(&["unreachable code", "!"]))
            .await;
        assert!(began.elapsed() < Duration::from_secs(60), "{name}: {:?}", began.elapsed());
    }
    let grown = peak(&shared.node) - before;
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
    shared.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_and_long_names_make_short_lines() {
    let many = |what: fn(usize) -> String| (0..100_000).map(what).collect::<String>();
    let exports = many(|n| format!("(export \"export-{n}\" (component $c))"));
    let exports = format!("(component (component $c) {exports})");
    let imports = format!("(component {})", many(|n| format!("(import \"a:b/c{n}@1.0.0\" (instance))")));
    let long = "x".repeat(99_000);
    let deep = (0..90).fold("string".to_owned(), |inner, _| format!("(list {inner})"));
    let broken_name = "y".repeat(1 << 20);
    let cases = [
        ("exports", exports, "exports.wasm"),
        ("imports", imports, "imports.wasm"),
        ("long_import", format!("(component (import \"a:{long}/c@1.0.0\" (instance)))"), "which no node offers"),
        ("long_wasi", format!("(component (import \"wasi:{long}/c@0.2.0\" (instance)))"), "offers of WASI 0.2"),
        ("longer", format!("(component (import \"a:{broken_name}/c@1.0.0\" (instance)))"), "longer.wasm"),
        (
            "mismatch",
            format!(
                "(component (import \"posemesh:runner/control@0.2.0\" (instance (export \"log\" (func (param \"x\" {deep})))))
                   (instance $e) (export \"posemesh:runner/entry@0.2.0\" (instance $e)))"
            ),
            "does not fit the world",
        ),
    ];
    let plugins = tempfile::tempdir().expect("a folder");
    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    let before = peak(&shared.node);
    for (name, text, reason) in &cases {
        let Ok(bytes) = wat::parse_str(text) else { panic!("{name} is no component") };
        let (logged, began, neighbour) = (shared.node.log().len(), Instant::now(), shared.neighbour());
        put(&shared, name, &bytes);
        shared.node.wait_for_log(&format!("{name}.wasm")).await;
        shared.node.wait_for_log(reason).await;
        shared.finish(name, began, neighbour, None).await;
        let line = shared.node.log().lines().filter(|line| line.contains(name)).map(str::len).max();
        assert!(line.is_some_and(|bytes| bytes < 4000), "{name}: a line of {line:?} bytes");
        let logged = shared.node.log().len() - logged;
        assert!(logged < MAX_LOGGED, "{name}: {logged} bytes of log");
    }
    let grown = peak(&shared.node) - before;
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
    shared.close().await;
}

fn put(shared: &SharedNode, name: &str, bytes: &[u8]) {
    posemesh_tests::versions::put(shared.plugins.path(), &format!("{name}.wasm"), bytes);
}
