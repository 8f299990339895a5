#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{mkdirat, mknodat};

use super::*;

/// Nests so many folders, far beyond what a path can name.
fn nest(at: &Path, depth: usize, name: &CStr) {
    let mut folder = openat(CWD, at, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&folder, name, Mode::RWXU).unwrap();
        folder = openat(&folder, name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    mknodat(&folder, c"last", FileType::RegularFile, Mode::RWXU, 0).unwrap();
}

#[test]
fn a_tree_of_14000_levels_is_removed_on_a_small_stack() {
    let dir = tempfile::tempdir().unwrap().keep();
    nest(&dir, 15_000, c"down");
    nest(&dir, 300, c"a folder with a name that is rather long and so makes paths that nobody can open");
    let at = dir.clone();
    let small = std::thread::Builder::new().stack_size(64 << 10);
    small.spawn(move || remove_tree(&at)).unwrap().join().unwrap().unwrap();
    assert!(!dir.exists());
}

#[test]
fn removal_follows_no_link_and_takes_whatever_lies_there() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("kept"), "").unwrap();
    let dir = tempfile::tempdir().unwrap().keep();
    let inner = dir.join("inner/deeper");
    fs::create_dir_all(&inner).unwrap();
    symlink(outside.path(), dir.join("link")).unwrap();
    symlink(outside.path(), inner.join("link")).unwrap();
    symlink("nowhere", inner.join("dangling")).unwrap();
    mknodat(CWD, inner.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(inner.join("socket")).unwrap();
    for name in [&b"\xff\xfe"[..], b"\n\x1b[2J", b" ", b"-rf", b".removed-0", b".removed-1"] {
        fs::create_dir_all(dir.join(OsStr::from_bytes(name)).join("x/y")).unwrap();
    }
    fs::write(dir.join(".removed-2"), "").unwrap();
    remove_tree(&dir).unwrap();
    assert!(!dir.exists());
    assert!(outside.path().join("kept").exists(), "what a link leads to stays");
}

#[test]
fn folders_that_their_rights_close_are_opened_first() {
    let dir = tempfile::tempdir().unwrap().keep();
    let closed = dir.join("a/closed");
    fs::create_dir_all(closed.join("b/c")).unwrap();
    for path in [closed.join("b"), closed, dir.join("a")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    remove_tree(&dir).unwrap();
    assert!(!dir.exists());
}

#[test]
fn wide_trees_and_files_and_what_is_not_there_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let wide = dir.path().join("wide");
    for n in 0..300 {
        fs::create_dir_all(wide.join(format!("{n}/{n}/{n}"))).unwrap();
        fs::write(wide.join(format!("{n}/file")), "x").unwrap();
    }
    remove_tree(&wide).unwrap();
    assert!(!wide.exists());
    remove_tree(&wide).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    symlink(dir.path(), dir.path().join("link")).unwrap();
    remove_tree(&dir.path().join("link")).unwrap();
    assert!(file.exists(), "only the link is removed");
    remove_tree(&file).unwrap();
    assert!(!file.exists());
}

#[test]
fn what_stays_is_named() {
    let error = remove_tree(Path::new("/proc/self/task")).unwrap_err();
    assert!(error.left > 0, "{error}");
    let text = error.to_string();
    assert!(text.contains("/proc/self/task") && text.contains("could not be removed"), "{text}");
}
