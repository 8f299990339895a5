#![allow(clippy::unwrap_used)]

use std::fs;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::*;

fn scratch(dir: &std::path::Path, scratch_bytes: u64, scratch_files: u64) -> Scratch {
    let work = dir.to_owned();
    let dirs = SandboxDirs { inputs: work.clone(), work, tmp: dir.join("not-there") };
    scratch_in(dir, dirs, scratch_bytes, scratch_files)
}

fn scratch_in(dir: &std::path::Path, dirs: SandboxDirs, scratch_bytes: u64, scratch_files: u64) -> Scratch {
    let limits = Limits { scratch_bytes, scratch_files, ..Limits::default() };
    let (disk, log) = (TaskDisk::new(dir), RunnerLog::new(1000, tracing::Span::none()));
    let folders = TaskFolders::there(disk.clone(), dirs);
    Scratch::new(disk, Some(folders), &limits, RunTrouble::default(), log)
}

#[test]
fn inputs_and_what_the_runner_wrote_share_one_budget() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = scratch(dir.path(), 100, 10);
    scratch.reserve(60).unwrap();
    assert_eq!(scratch.reserve(60).unwrap_err().limit, Limit::ScratchBytes);
    let growth = scratch.grow(40, 1).unwrap();
    fs::write(dir.path().join("forty"), [0; 40]).unwrap();
    drop(growth);
    assert_eq!(scratch.reserve(1).unwrap_err().limit, Limit::ScratchBytes);
    assert_eq!(scratch.reached(), None, "an input that does not fit is no end");
    assert_eq!(scratch.grow(1, 0).unwrap_err().limit, Limit::ScratchBytes);
    assert!(scratch.reached().is_some(), "once too much is too much");
}

#[test]
fn what_was_removed_makes_room_and_a_file_without_a_name_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = scratch(dir.path(), 100, 10);
    let path = dir.path().join("file");
    for _ in 0..5 {
        drop(scratch.grow(80, 1).unwrap());
        fs::write(&path, [0; 80]).unwrap();
        fs::remove_file(&path).unwrap();
    }
    drop(scratch.grow(80, 1).unwrap());
    fs::write(&path, [0; 80]).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    scratch.opened(&file);
    fs::remove_file(&path).unwrap();
    assert_eq!(scratch.grow(30, 0).unwrap_err(), LimitReached { limit: Limit::ScratchBytes, value: 100 });
    drop(file);
    drop(scratch.grow(30, 0).unwrap());
}

#[test]
fn a_look_counts_links_once_and_ends_when_there_is_too_much() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..20 {
        fs::write(dir.path().join(n.to_string()), "four").unwrap();
    }
    std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
    fs::hard_link(dir.path().join("0"), dir.path().join("again")).unwrap();
    let all = look(&[dir.path()], 100, &[]).unwrap();
    assert_eq!(
        all,
        FolderSize { files: 22, bytes: 81, deepest: 0 },
        "a link counts, what it leads to does not"
    );
    let scratch = scratch(dir.path(), 1 << 20, 5);
    assert_eq!(scratch.watch().unwrap().limit, Limit::ScratchFiles);
    assert!(look(&[dir.path()], scratch.stop_at(), &[]).unwrap().files < 22);
}

#[test]
fn a_look_taken_while_something_is_added_is_not_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = scratch(dir.path(), 100, 10);
    let growth = scratch.grow(60, 1).unwrap();
    assert_eq!(scratch.watch(), None);
    assert_eq!(scratch.used(), 60, "counted, and not there yet");
    drop(growth);
    let moving = scratch.moving();
    assert_eq!(scratch.watch(), None);
    assert_eq!(scratch.used(), 60, "a file that is moved may be missed");
    drop(moving);
    assert_eq!(scratch.watch(), None);
    assert_eq!(scratch.used(), 0, "it never came");
}

#[test]
fn depth_is_counted_from_the_folder_itself_beyond_what_a_path_can_name() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = scratch(dir.path(), 100, 1000);
    let name = "n".repeat(255);
    let mut folder = openat(CWD, dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for depth in 0..=MAX_DEPTH {
        let parent = File::from(folder.try_clone().unwrap());
        assert_eq!(depth_of(&parent, &[dir.path()]).unwrap(), depth);
        assert_eq!(scratch.check_depth(&parent, 0).is_ok(), depth < MAX_DEPTH, "{depth}");
        assert_eq!(scratch.check_depth(&parent, 3).is_ok(), depth + 3 < MAX_DEPTH, "{depth}");
        mkdirat(&folder, &name, Mode::RWXU).unwrap();
        folder = openat(&folder, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    assert_eq!(look(&[dir.path()], 1000, &[]).unwrap().deepest, MAX_DEPTH + 1);
    assert_eq!(scratch.watch().unwrap().limit, Limit::ScratchFiles, "the second guard sees it as well");
    posemesh_files::remove_tree(&dir.keep()).unwrap();
}

#[test]
fn what_lies_in_either_folder_counts_and_what_lies_in_both_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (work, tmp) = (dir.path().join("work"), dir.path().join("tmp"));
    fs::create_dir(&work).unwrap();
    fs::create_dir(&tmp).unwrap();
    let scratch = scratch_in(dir.path(), SandboxDirs { inputs: work.clone(), work, tmp }, 100, 10);
    fs::write(dir.path().join("work/one"), [0; 30]).unwrap();
    fs::write(dir.path().join("tmp/other"), [0; 20]).unwrap();
    fs::hard_link(dir.path().join("work/one"), dir.path().join("tmp/one")).unwrap();
    assert_eq!(scratch.watch(), None);
    assert_eq!(scratch.used(), 50);
    fs::write(dir.path().join("tmp/more"), [0; 60]).unwrap();
    assert_eq!(scratch.watch().unwrap().limit, Limit::ScratchBytes);
    let tmp = File::open(dir.path().join("tmp")).unwrap();
    assert!(scratch.check_depth(&tmp, MAX_DEPTH - 1).is_ok(), "levels are counted from /tmp, too");
    assert!(scratch.check_depth(&tmp, MAX_DEPTH).is_err());
}
