#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::line::MAX_LINE;
use super::*;

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_event_is_one_line_of_json_in_a_file_of_this_users_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    std::fs::write(&path, "{\"of\":\"an earlier node\"}\n").unwrap();
    let audit = AuditLog::open(Some(path.clone())).unwrap();
    audit.record("test", [("text", "a\n\u{1b}[31m\"}".into()), ("number", 7.into())]);
    audit.record("test", [("long", "x".repeat(2 * MAX_LINE).into())]);
    audit.flush().await;
    let lines = lines(&path);
    assert_eq!(lines.len(), 3, "appended: {lines:?}");
    assert_eq!((lines[1]["event"].as_str(), lines[1]["number"].as_u64()), (Some("test"), Some(7)));
    assert_eq!(lines[1]["text"], "a\n\u{1b}[31m\"}");
    assert_eq!((lines[1]["line"].as_u64(), lines[2]["line"].as_u64()), (Some(0), Some(1)));
    assert!(lines[2]["too_long"].as_u64().unwrap() > MAX_LINE as u64 && lines[2]["long"].is_null());

    let new = dir.path().join("new.jsonl");
    let _audit = AuditLog::open(Some(new.clone())).unwrap();
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("audit"), dir.path().join("audit.1"));
    let audit = AuditLog::open(Some(path.clone())).unwrap();
    audit.record("first", []);
    audit.flush().await;
    std::fs::rename(&path, &moved).unwrap();
    audit.record("second", []);
    audit.flush().await;
    assert_eq!(lines(&moved)[0]["event"], "first");
    assert_eq!(lines(&path)[0]["event"], "second");
}

#[tokio::test]
async fn a_full_disk_loses_lines_counts_them_and_tells_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let audit = AuditLog::open(Some(path.clone())).unwrap();
    audit.record("first", []);
    audit.flush().await;
    // In its place something that takes no byte, as a full disk does.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    audit.record("lost", []);
    audit.flush().await;
    assert_eq!(audit.lost_lines(), 1);
    std::fs::remove_file(&path).unwrap();
    audit.record("last", []);
    audit.flush().await;
    let lines = lines(&path);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0]["event"] == "lines_lost" && lines[0]["lines"] == 1, "{lines:?}");
    assert_eq!(lines[1]["event"], "last");
}

#[test]
fn a_file_that_can_not_be_appended_to_is_told_with_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    for (path, want) in [(dir.path().to_owned(), "folder"), (dir.path().join("no/audit"), "No such file")] {
        let error = AuditLog::open(Some(path)).unwrap_err().to_string();
        assert!(error.contains("AUDIT_LOG") && error.contains("`off`"), "{error}");
        assert!(error.contains(want) || error.contains("directory"), "{error}");
    }
}

#[tokio::test]
async fn calls_without_the_token_can_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let audit = AuditLog::open(Some(path.clone())).unwrap();
    for _ in 0..500 {
        audit.record_refused_call([("from", "127.0.0.1:1".into())]);
    }
    audit.flush().await;
    assert!(lines(&path).len() <= 30, "{}", lines(&path).len());
}
