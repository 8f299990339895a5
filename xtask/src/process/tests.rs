#![allow(clippy::unwrap_used)]

use std::time::Instant;

use super::*;

#[test]
fn the_line_can_be_typed_into_a_shell() {
    let cmd = Cmd::new("echo").args(["plain", "two words", "it's", ""]).env("A", "b c");
    assert_eq!(cmd.line(), r"A='b c' echo plain 'two words' 'it'\''s' ''");
}

#[test]
fn a_failure_names_the_command_the_exit_code_and_the_cure() {
    let error = Cmd::new("sh").args(["-c", "exit 3"]).cure("try harder").run().unwrap_err().to_string();
    assert!(error.contains("sh -c 'exit 3'"), "{error}");
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(error.ends_with("what helps: try harder"), "{error}");
}

#[test]
fn a_captured_failure_ends_with_what_the_program_printed() {
    let error = Cmd::new("sh").args(["-c", "echo why >&2; exit 1"]).output().unwrap_err().to_string();
    assert!(error.ends_with(": why"), "{error}");
}

#[test]
fn a_missing_program_is_reported_in_words() {
    let error = Cmd::new("no-such-program").run().unwrap_err().to_string();
    assert!(error.contains("no such program"), "{error}");
}

#[test]
fn a_program_that_hangs_is_killed_at_its_time_limit() {
    let start = Instant::now();
    let cmd = Cmd::new("sleep").arg("60").time_limit(Duration::from_millis(100));
    let error = cmd.run().unwrap_err().to_string();
    assert!(error.contains("took longer"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
}

#[test]
fn what_a_program_did_that_hangs_is_at_the_end_of_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output.txt");
    let cmd = Cmd::new("sh").args(["-c", "echo begun; exec sleep 60"]).time_limit(Duration::from_millis(500));
    assert_eq!(cmd.run_into(&path).unwrap(), Ending::Killed);
    let output = std::fs::read_to_string(&path).unwrap();
    assert!(output.starts_with("begun\n\nkilled: it took longer than 0 s"), "{output}");
    assert!(!cfg!(target_os = "linux") || output.contains("\n  sleep "), "{output}");
    let well = Cmd::new("true").time_limit(Duration::from_secs(60));
    assert_eq!(well.run_into(&path).unwrap(), Ending::Success);
}

#[test]
fn environment_and_directory_reach_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let printed = Cmd::new("sh")
        .args(["-c", "echo $A/$HOME; pwd"])
        .env("A", "a")
        .env_remove("HOME")
        .dir(&folder)
        .output()
        .unwrap();
    assert_eq!(printed, format!("a/\n{}", folder.display()));
}

#[test]
fn standard_error_can_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    Cmd::new("sh").args(["-c", "echo kept >&2"]).stderr(File::create(&log).unwrap()).run().unwrap();
    assert_eq!(std::fs::read_to_string(log).unwrap(), "kept\n");
}
