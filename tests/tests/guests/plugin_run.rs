//! Guests in `posemesh-node plugin run`, without a node: each works, or is ended by the limit that it is
//! expected to reach.

use std::path::Path;
use std::process::{Command, Output};

use posemesh_tests::guests::{
    COPY, ESCAPE, EVENT_FLOOD, EXIT, Guest, HANDLE_FLOOD, LOG_FLOOD, MEMORY_BOMB, OUTPUT_FLOOD, PANIC,
    PANIC_IN_DESCRIBE, PORTS, PROBE, RECURSE, SCRATCH_FILL, SPIN, SPIN_IN_DESCRIBE,
};
use posemesh_tests::node_binary;
use tempfile::TempDir;

use crate::shared_node::guests_with_policies;

/// Runs a guest with this policy and one input.
fn run(guest: Guest, policy: &str) -> (Output, TempDir) {
    run_with(guest, policy, &[])
}

/// The same, with more arguments.
pub(crate) fn run_with(guest: Guest, policy: &str, more: &[&str]) -> (Output, TempDir) {
    let dir = guests_with_policies(&[(guest, policy)]);
    let input = dir.path().join("input.txt");
    std::fs::write(&input, "hello from a file").expect("an input");
    let output = Command::new(node_binary())
        .args(["plugin", "run"])
        .arg(dir.path().join(format!("{}.wasm", guest.name)))
        .arg("--input")
        .arg(&input)
        .arg("--out")
        .arg(dir.path().join("out"))
        .args(more)
        .env("SECRET_OF_THE_HOST", "hunter2")
        .output()
        .expect("the node runs");
    (output, dir)
}

fn assert_fails(guest: Guest, policy: &str, wanted: &[&str]) {
    let (output, _dir) = run(guest, policy);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{guest:?}: {text}");
    for part in wanted {
        assert!(text.contains(part), "{guest:?}: {part:?} is not in: {text}");
    }
}

pub(crate) fn assert_works(guest: Guest) -> TempDir {
    let (output, dir) = run(guest, "");
    assert!(output.status.success(), "{guest:?}: {}", String::from_utf8_lossy(&output.stderr));
    dir
}

pub(crate) fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join("out").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn files_with_the_same_cid_are_the_parts_of_one_input() {
    let dir = guests_with_policies(&[(COPY, "")]);
    let mut command = Command::new(node_binary());
    command
        .args(["plugin", "run"])
        .arg(dir.path().join("copy.wasm"))
        .arg("--out")
        .arg(dir.path().join("out"));
    for part in ["one", "two"] {
        let file = dir.path().join(format!("{part}.txt"));
        std::fs::write(&file, part).expect("a part");
        command.arg("--input").arg(format!("scan={}", file.display()));
    }
    let output = command.output().expect("the node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(read(dir.path(), "0-0.bin"), b"one");
    assert_eq!(read(dir.path(), "0-1.bin"), b"two");
}

#[test]
pub(crate) fn every_function_of_the_ports_works() {
    let dir = assert_works(PORTS);
    assert_eq!(read(dir.path(), "kept.bin"), b"hello from a file");
    assert_eq!(read(dir.path(), "file.bin"), b"hello from a file");
    assert_eq!(read(dir.path(), "empty.bin"), b"");
    let files = std::fs::read_dir(dir.path().join("out")).expect("the folder").count();
    assert_eq!(files, 3, "what was dropped unfinished left nothing");
}

#[test]
fn what_a_run_took_and_each_artifact_are_told_at_the_end() {
    let (output, _dir) = run(COPY, "");
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("out/0-0.bin  17 bytes  0-0_bin_") && said.trim_end().ends_with("  bin_data"),
        "{said}"
    );
    let last = told.lines().last().unwrap_or_default();
    for part in
        ["done in ", "on the processor", "peak memory ", "17 bytes read", "17 bytes written in 1 artifact"]
    {
        assert!(last.contains(part), "{part}: {told}");
    }
}

#[test]
fn what_a_runner_prints_and_reports_is_shown_though_it_succeeds() {
    let (output, _dir) = run(EVENT_FLOOD, "[limits]\nevents_per_second = 1");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(" event | "), "{told}");
    let (output, _dir) = run(PORTS, "");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("  node | artifact ") && told.contains(" was begun and never finished"), "{told}");
}

#[test]
pub(crate) fn the_authors_own_error_is_the_reason() {
    let words = "it panicked: thread '<unnamed>'";
    assert_fails(
        PANIC_IN_DESCRIBE,
        "",
        &[words, "the model is not where it should be", "panic_in_describe.rs:7"],
    );
    assert_fails(PANIC, "", &["the runner panicked: ", "panic.rs"]);
}

#[test]
fn a_limit_is_told_with_the_ways_to_more_of_it() {
    let ways =
        ["asks for more by `requests.memory-bytes` in `describe`", "the operator sets it in NAME.toml"];
    assert_fails(
        MEMORY_BOMB,
        "[limits]\nmemory_bytes = \"20MiB\"",
        &[&["`memory_bytes` of 20MiB"][..], &ways].concat(),
    );
}

#[test]
pub(crate) fn a_stream_is_copied_byte_for_byte() {
    let dir = assert_works(COPY);
    assert_eq!(read(dir.path(), "0-0.bin"), b"hello from a file");
}

#[test]
fn no_path_leads_out_of_the_sandbox() {
    assert_works(ESCAPE);
}

#[test]
fn there_is_no_environment_no_argument_no_network_and_nothing_of_another_task() {
    assert_works(PROBE);
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    assert_fails(SPIN, "[limits]\ndeadline_ms = 300", &["`deadline_ms` of 300"]);
}

#[test]
fn an_endless_loop_ends_at_its_cpu_time() {
    assert_fails(SPIN, "[limits]\ncpu_time_ms = 200", &["`cpu_time_ms` of 200"]);
}

#[test]
fn memory_is_bounded_and_the_limit_is_named() {
    assert_fails(MEMORY_BOMB, "[limits]\nmemory_bytes = 20000000", &["`memory_bytes` of 20000000"]);
}

#[test]
fn the_sandbox_directory_is_bounded() {
    assert_fails(SCRATCH_FILL, "[limits]\nscratch_bytes = 10000000", &["`scratch_bytes` of 10000000"]);
}

#[test]
fn output_is_bounded_in_bytes_and_in_artifacts() {
    assert_fails(OUTPUT_FLOOD, "[limits]\noutput_bytes = 10000", &["`output_bytes` of 10000"]);
    assert_fails(OUTPUT_FLOOD, "[limits]\nartifacts = 5", &["`artifacts` of 5"]);
}

#[test]
fn open_handles_are_bounded() {
    assert_fails(HANDLE_FLOOD, "[limits]\nhandles = 50", &["`handles`"]);
}

#[test]
fn events_beyond_the_rate_are_dropped_and_counted() {
    // Ten seconds' worth of events are accepted at once, and a few more while the guest runs.
    let (output, _dir) = run(EVENT_FLOOD, "[limits]\nevents_per_second = 1");
    let text = String::from_utf8_lossy(&output.stderr);
    let dropped = text.split("dropped ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let dropped: u32 = dropped.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    assert!((4900..=4990).contains(&dropped), "{dropped} of 5000 dropped");
}

#[test]
fn output_beyond_the_budget_is_dropped_and_control_characters_do_nothing() {
    let (output, _dir) = run(LOG_FLOOD, "[limits]\nlog_bytes = 200");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("done talking") && text.contains("dropped_output_lines"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn recursion_and_exit_end_the_task_alone() {
    assert_fails(RECURSE, "", &["the runner trapped"]);
    assert_fails(EXIT, "", &["the runner called exit"]);
}

#[test]
fn a_runner_that_does_not_say_who_it_is_is_refused() {
    // By its processor time, or by its deadline where others have the processors.
    assert_fails(SPIN_IN_DESCRIBE, "", &["did not describe itself", "in `describe`"]);
}

#[test]
fn a_policy_with_a_mistake_is_refused_with_its_line() {
    assert_fails(PORTS, "[limits]\nmemory = 5\n", &["ports.toml", "memory"]);
}
