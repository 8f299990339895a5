//! Which folders a runner gets.

#![allow(clippy::unwrap_used)]

use std::fs::create_dir_all;
use std::os::unix::fs::symlink;

use super::*;

#[track_caller]
fn refused(private: &PrivateFolders, folder: impl AsRef<Path>, want: &str) {
    let error = private.open(folder.as_ref()).unwrap_err();
    assert!(error.contains(want), "{:?}: {error}", folder.as_ref());
}

#[test]
fn what_the_kernel_tells_and_the_systems_secrets_are_no_runners() {
    let private = PrivateFolders::default();
    for folder in ["/proc", "/proc/self", "/proc/1", "/sys", "/sys/kernel", "/dev", "/etc", "/"] {
        refused(&private, folder, "no runner may have the folder");
    }
    refused(&private, "/proc/self/root", "no runner may have");
    refused(&private, "/proc/self/cwd/../../../../../../../../../..", "no runner may have");
    refused(&private, "relative", "absolute");
    refused(&private, "/nowhere/at/all", "can't be opened: No such file");
    refused(&private, "/etc/passwd", "can't be opened: Not a directory");
}

#[test]
fn the_nodes_folders_are_closed_by_whatever_way_they_are_reached() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["node/work/tasks", "node/other", "models/deep"] {
        create_dir_all(at(folder)).unwrap();
    }
    symlink(at("node/work"), at("link")).unwrap();
    symlink(at("link"), at("models/link-to-link")).unwrap();
    symlink(dir.path(), at("models/up")).unwrap();
    let private = PrivateFolders::default().closed(at("link"));
    for folder in [
        "node/work",
        "node/work/tasks",
        "node",
        "",
        "link",
        "link/tasks",
        "models/link-to-link",
        "models/up",
        "models/../node/work",
        "models/deep/../../link/tasks/..",
    ] {
        refused(&private, at(folder), "no runner may have");
    }
    private.open(&at("models")).unwrap();
    private.open(&at("models/deep")).unwrap();
    private.open(&at("node/other")).unwrap();
    // The path leads elsewhere since it was looked at.
    std::fs::remove_dir(at("models/deep")).unwrap();
    symlink(at("node/work"), at("models/deep")).unwrap();
    refused(&private, at("models/deep"), "is the node's or the system's own");
}

#[test]
fn a_folder_that_is_not_there_yet_closes_what_it_will_lie_in() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("var/models")).unwrap();
    let private = PrivateFolders::default().closed(dir.path().join("var/cache/compiled"));
    refused(&private, dir.path().join("var"), "no runner may have");
    private.open(&dir.path().join("var/models")).unwrap();
}

#[test]
fn the_folder_of_a_file_with_secrets_is_closed_and_those_beside_the_file_are_not() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("node/models")).unwrap();
    create_dir_all(dir.path().join("keys/more")).unwrap();
    std::fs::write(dir.path().join("keys/key"), "secret").unwrap();
    symlink(dir.path().join("keys/key"), dir.path().join("node/.env")).unwrap();
    let private = PrivateFolders::default().holder_of(&dir.path().join("node/.env"));
    for folder in ["node", "keys", ""] {
        refused(&private, dir.path().join(folder), "no runner may have");
    }
    private.open(&dir.path().join("node/models")).unwrap();
    private.open(&dir.path().join("keys/more")).unwrap();
}
