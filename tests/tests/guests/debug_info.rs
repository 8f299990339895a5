//! Line tables of a component: a trap tells file and line, and a table that is broken or made to hurt costs nobody else
//! anything.

use serde_json::Value;

use posemesh_tests::by_hand::{Parts, runner};

use crate::shared_node::Expect::Fails;
use crate::shared_node::SharedNode;

/// One unit, `hand.c`, for all addresses below 64 KiB.
fn info() -> Vec<u8> {
    let mut unit: Vec<u8> = vec![4, 0, 0, 0, 0, 0, 4, 1];
    unit.extend(b"hand.c\0");
    // Its line table, its first address, and how many there are.
    unit.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    with_length(&unit)
}

/// The form of that unit: name, line table, addresses.
const ABBREVIATIONS: [u8; 14] = [1, 0x11, 0, 3, 8, 0x10, 0x17, 0x11, 1, 0x12, 6, 0, 0, 0];

/// A line table: all addresses are line 42, after this many rows more.
fn lines(rows: usize) -> Vec<u8> {
    let mut header: Vec<u8> = vec![1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0];
    header.extend(b"hand.c\0\0\0\0\0");
    let mut table: Vec<u8> = vec![4, 0];
    table.extend(u32::try_from(header.len()).expect("short").to_le_bytes());
    table.extend(header);
    // From address 0 on; line 1 + 41; a row.
    table.extend([0, 5, 2, 0, 0, 0, 0, 3, 41, 1]);
    // Rows that neither advance the address nor the line, a byte each.
    table.extend(std::iter::repeat_n(0x12, rows));
    // On by 65535 addresses, and the end.
    table.extend([2, 0xff, 0xff, 3, 0, 1, 1]);
    with_length(&table)
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(bytes.len()).expect("short").to_le_bytes().to_vec();
    all.extend(bytes);
    all
}

/// A runner that traps, with these sections.
fn with_sections(name: &str, info: &[u8], lines: &[u8]) -> Vec<u8> {
    let section = |name: &str, bytes: &[u8]| {
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(@custom \"{name}\" \"{escaped}\")")
    };
    let fields = [(".debug_abbrev", &ABBREVIATIONS[..]), (".debug_info", info), (".debug_line", lines)];
    let fields: String = fields.iter().map(|(name, bytes)| section(name, bytes)).collect();
    runner(name, &Parts { fields: &fields, run: "unreachable", ..Parts::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_tells_file_and_line_and_a_hostile_table_hurts_nobody_else() {
    let mut components = vec![("table".to_owned(), with_sections("table", &info(), &lines(0)))];
    // Millions of rows of a byte each, which take far more when they are read.
    components.push(("rows".to_owned(), with_sections("rows", &info(), &lines(8 << 20))));
    // Each byte of a table wrong, in turn; the same in every run.
    for (number, at) in (0..lines(0).len()).step_by(9).enumerate() {
        let (mut broken, name) = (lines(0), format!("broken_{number}"));
        broken[at] ^= 0xff;
        let component = with_sections(&name, &info(), &broken);
        components.push((name, component));
    }
    let no_end = with_sections("cut", &info()[..9], &lines(3)[..20]);
    components.push(("cut".to_owned(), no_end));
    let plugins = tempfile::tempdir().expect("a folder");
    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    posemesh_tests::versions::put(
        shared.plugins.path(),
        "rows.toml",
        b"[limits]\nmemory_bytes = \"32MiB\"\n",
    );
    for (name, bytes) in &components {
        posemesh_tests::versions::put(shared.plugins.path(), &format!("{name}.wasm"), bytes);
    }
    for (name, _) in &components {
        shared.wait_live(name, 1).await;
        let told: &[&str] = match name.as_str() {
            "table" => &["unreachable", " at hand.c:42"],
            // Its process may have ended by it.
            "rows" => &[],
            _ => &["unreachable"],
        };
        shared.check("a trap with line tables", name, Value::Null, Fails(told)).await;
    }
    // And none of it has ended the node, or is in its way.
    shared.check("a trap with line tables, again", "table", Value::Null, Fails(&[" at hand.c:42"])).await;
    shared.close().await;
}
