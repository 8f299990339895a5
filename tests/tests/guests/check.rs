//! `posemesh-node plugin check` on components that are broken in one way each. What it says of each is in
//! `tests/golden/check`; `UPDATE_GOLDEN=1` writes these files anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use posemesh_tests::by_hand::{Parts, runner, text};
use posemesh_tests::guests::{GREEDY_DESCRIBE, PANIC, RUDE_DESCRIBE};
use posemesh_tests::{node_binary, root};

/// What `plugin check` says of a component with this policy, in words that are the same on every machine.
fn told(dir: &Path, name: &str, bytes: &[u8], policy: Option<&str>) -> String {
    fs::write(dir.join(format!("{name}.wasm")), bytes).expect("a component");
    if let Some(policy) = policy {
        fs::write(dir.join(format!("{name}.toml")), policy).expect("a policy");
    }
    let output = Command::new(node_binary())
        .args(["plugin", "check", &format!("{name}.wasm")])
        .current_dir(dir)
        .env("CACHE_DIR", dir.join("cache"))
        .output()
        .expect("the node runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    // It is said where compiling takes long, which it does on a busy machine.
    let errors: Vec<&str> = errors.lines().filter(|line| !line.starts_with("compil")).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}");
    let timed = |line: &str| match line.split_once("compiling: ") {
        Some((level, _)) => format!("{level}compiling: TIME\n"),
        None => format!("{line}\n"),
    };
    let mut told: String = String::from_utf8_lossy(&output.stdout).lines().map(timed).collect();
    told += &format!("exit code {}\n", output.status.code().unwrap_or(-1));
    told
}

fn assert_golden(name: &str, told: &str, differences: &mut Vec<String>) {
    let path = root().join("tests/golden/check").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, told).expect("written");
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if golden != told {
        differences.push(format!("{} says\n{golden}\nand check said\n{told}", path.display()));
    }
}

/// The smallest runner with something of its text replaced.
fn changed(name: &str, from: &str, to: &str) -> Vec<u8> {
    let whole = text(name, &Parts::default());
    assert!(whole.contains(from), "{name}: there is no {from}");
    wat::parse_str(whole.replace(from, to)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The smallest runner with bytes of its description replaced by as many others.
fn described(name: &str, from: &str, to: &str) -> Vec<u8> {
    let mut bytes = runner(name, &Parts::default());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("these bytes");
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    bytes
}

/// Imports something that it does not use.
fn importing(name: &str, import: &str) -> Vec<u8> {
    let before = format!("(import \"{import}\" (instance))");
    runner(name, &Parts { before: &before, ..Parts::default() })
}

/// Another summary each time.
fn moody() -> Vec<u8> {
    let parts = Parts {
        before: "(import \"wasi:random/random@0.2.0\" (instance $random (export \"get-random-u64\" (func (result u64)))))
                 (core func $draw (canon lower (func $random \"get-random-u64\")))
                 (core instance $lowered (export \"draw\" (func $draw)))",
        with: "(with \"random\" (instance $lowered))",
        imports: "(import \"random\" \"draw\" (func $draw (result i64)))",
        ..Parts::default()
    };
    let describes = "(func (export \"describe\") (result i32) ";
    let draws = "(i64.store (i32.load (i32.const 1040))
                   (i64.or (i64.and (call $draw) (i64.const 0x0f0f0f0f0f0f0f0f)) (i64.const 0x3030303030303030)))";
    let text = text("moody", &parts).replace(describes, &format!("{describes}{draws} "));
    wat::parse_str(text).unwrap_or_else(|error| panic!("moody: {error}"))
}

#[test]
pub(crate) fn what_is_wrong_with_a_component_is_said_with_what_helps() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = runner("good", &Parts::default());
    let describe = "(func (export \"describe\") (result i32) ";
    let instances = "(core instance (instantiate $empty))".repeat(100);
    let hundred = format!("(core module $empty (memory 0)) {instances}");
    let newer = Parts { version: "0.3.0", ..Parts::default() };
    let older = Parts { version: "0.0.9", ..Parts::default() };
    let large = Parts { fields: "(memory $large 12800)", ..Parts::default() };
    let begins = Parts { fields: "(func $begin unreachable) (start $begin)", ..Parts::default() };
    let unasked = "capabilities = [\"/posemesh/test/policy-of-another/v1\", \"/other/v1\"]\nenvironment = [\"MODEL\"]\n\
                   network_hosts = [\"models.example\"]\n";
    let cases: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("good", good.clone(), None),
        ("empty_file", Vec::new(), None),
        ("shell_script", b"#!/bin/sh\necho hello\n".to_vec(), None),
        ("core_module", b"\0asm\x01\0\0\0".to_vec(), None),
        ("four_bytes", b"\0asm".to_vec(), None),
        ("unknown_format", b"\0asm\x0e\0\x01\0".to_vec(), None),
        ("cut_short", good[..good.len() / 2].to_vec(), None),
        ("no_entry", wat::parse_str("(component)").expect("a component"), None),
        ("newer_contract", runner("newer-contract", &newer), None),
        ("older_contract", runner("older-contract", &older), None),
        ("misspelt_field", changed("misspelt-field", "\"scratch-bytes\"", "\"scratch-byte\""), None),
        ("missing_case", changed("missing-case", "(case \"denied\" string)", ""), None),
        ("unknown_import", importing("unknown-import", "acme:db/query@1.0.0"), None),
        ("release_candidate", importing("release-candidate", "wasi:cli/run@0.3.0-rc-2026-01-06"), None),
        ("wasi_nn", importing("wasi-nn", "wasi:nn/graph@0.2.0"), None),
        ("http_0_3", importing("http-0-3", "wasi:http/client@0.3.0"), None),
        ("describe_traps", changed("describe-traps", describe, &format!("{describe} unreachable ")), None),
        ("start_traps", runner("start-traps", &begins), None),
        ("large_memory", runner("large-memory", &large), None),
        ("many_instances", runner("many-instances", &Parts { before: &hundred, ..Parts::default() }), None),
        ("no_slash", described("no-slash", "/posemesh/test", ":posemesh/test"), None),
        ("name_with_space", described("name-with-space", "name-with-space", "name with space"), None),
        ("no_version", described("no-version", "0.1.0by", "one.0by"), None),
        ("control_characters", RUDE_DESCRIBE.bytes(), None),
        ("too_many_capabilities", GREEDY_DESCRIBE.bytes(), None),
        ("moody", moody(), None),
        ("broken_policy", good.clone(), Some("[limits]\nmemory_bytes = \"64 parsecs\"\n")),
        ("policy_of_another", runner("policy-of-another", &Parts::default()), Some(unasked)),
        ("switched_off", good, Some("enabled = false\n")),
    ];
    let mut differences = Vec::new();
    for (name, bytes, policy) in &cases {
        assert_golden(name, &told(dir.path(), name, bytes, *policy), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn warnings_are_errors_if_wanted_and_programs_read_json() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("panic.wasm"), PANIC.bytes()).expect("a component");
    let check = |more: &[&str]| {
        let mut command = Command::new(node_binary());
        command.args(["plugin", "check", "panic.wasm"]).args(more).current_dir(dir.path());
        command.env("CACHE_DIR", dir.path().join("cache")).output().expect("the node runs")
    };
    let output = check(&["--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let levels: Vec<&str> = answer["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|one| one["level"].as_str())
        .collect();
    assert!(levels.contains(&"ok") && levels.contains(&"note") && !levels.contains(&"error"), "{answer}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        check(&["--strict"]).status.code(),
        Some(0),
        "it names no licence: a note, as of a fresh project"
    );
    // A policy for what the runner never asks for.
    fs::write(dir.path().join("panic.toml"), "environment = [\"MODEL\"]\n").expect("a policy");
    let output = check(&[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("warning"), "{said}");
    assert_eq!(check(&["--strict"]).status.code(), Some(1));
}
