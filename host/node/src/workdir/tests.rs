#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

const OWNER: &str = "dms wallet";

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn task_directories_are_private_empty_and_gone_afterwards() {
    let root = tempfile::tempdir().unwrap();
    let (dirs, _) = WorkDirs::open(root.path().join("made/for/us"), OWNER).await.unwrap();
    let unused = dirs.task_dir();
    let never = unused.disk().path().to_owned();
    unused.remove().await;
    assert!(!never.exists(), "a task that needs no directory has none");
    let task = dirs.task_dir();
    let path = task.disk().folder().unwrap().to_owned();
    assert_ne!(path, never);
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with(TASK_PREFIX));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&dirs.own).unwrap().permissions().mode() & 0o777, 0o700);
    fs::create_dir_all(path.join("sandbox/deep")).unwrap();
    fs::write(path.join("sandbox/deep/file"), "x").unwrap();
    task.remove().await;
    assert!(!path.exists(), "a task's directory is removed with all that is in it");
    drop(dirs);
    assert_eq!(names(&root.path().join("made/for/us")), [""; 0], "the process's directory is gone too");
}

#[tokio::test]
async fn a_sweep_removes_what_dead_processes_left_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let (alive, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    let alive_task = alive.task_dir();
    alive_task.disk().folder().unwrap();
    for dead in ["node-1-dead", "node-2-dead", "someone-elses"] {
        fs::create_dir_all(root.path().join(dead).join("task-x")).unwrap();
    }
    fs::write(root.path().join("node-file"), "").unwrap();
    std::os::unix::fs::symlink(root.path().join("someone-elses"), root.path().join("node-link")).unwrap();

    let (second, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    assert!(alive_task.disk().path().exists(), "a living process keeps its directories");
    assert!(root.path().join("someone-elses/task-x").exists(), "links are not followed");
    let mut want: Vec<_> = [&alive.own, &second.own]
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .into_iter()
        .chain(["node-file", "node-link", "someone-elses"].map(str::to_owned))
        .collect();
    want.sort();
    assert_eq!(names(root.path()), want);
}

/// A start survives whatever lies in `WORK_DIR`, and leaves what it can't know to be dead.
#[tokio::test]
async fn a_start_survives_whatever_lies_in_work_dir() {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, mknodat, openat};

    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let fifo = |path: PathBuf| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    fifo(at("node-fifo"));
    let _socket = UnixListener::bind(at("node-socket")).unwrap();
    // A journal of leases that is none.
    for dead in ["node-journal-is-a-fifo", "node-journal-is-a-folder"] {
        fs::create_dir(at(dead)).unwrap();
    }
    fifo(at("node-journal-is-a-fifo/leases-0"));
    fs::create_dir(at("node-journal-is-a-folder/leases-0")).unwrap();
    // Deeper than a path can name, and than the standard library can remove.
    fs::create_dir(at("node-deep")).unwrap();
    let mut folder = openat(CWD, at("node-deep"), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..14_100 {
        mkdirat(&folder, "down", Mode::RWXU).unwrap();
        folder = openat(&folder, "down", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let closed = at("node-closed");
    fs::create_dir_all(closed.join("task-x")).unwrap();
    fs::set_permissions(closed.join("task-x"), fs::Permissions::from_mode(0o000)).unwrap();
    let odd = at("node-\u{1b}[2J odd");
    fs::create_dir(&odd).unwrap();

    let (dirs, orphans) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    assert!(orphans.is_empty());
    let own = dirs.own.file_name().unwrap().to_str().unwrap().to_owned();
    let left: Vec<_> = names(root.path()).into_iter().filter(|name| *name != own).collect();
    assert_eq!(left, ["node-fifo", "node-socket"], "what is no directory is nobody's that died");
}

#[tokio::test]
async fn a_root_that_cannot_be_used_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = WorkDirs::open(file.clone(), OWNER).await.unwrap_err().to_string();
    assert!(error.contains(&*file.to_string_lossy()) && error.contains("WORK_DIR"), "{error}");
}

#[tokio::test]
async fn a_root_that_others_could_write_to_is_closed_and_one_of_theirs_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let work = root.path().join("work");
    fs::create_dir(&work).unwrap();
    for (open, closed) in [(0o777, 0o755), (0o770, 0o750), (0o1777, 0o1777), (0o700, 0o700)] {
        fs::set_permissions(&work, fs::Permissions::from_mode(open)).unwrap();
        drop(WorkDirs::open(work.clone(), OWNER).await.unwrap());
        assert_eq!(mode(&work), closed, "{open:o}");
    }
    // Only root can give directories away.
    if std::os::unix::fs::chown(&work, Some(12_345), None).is_err() {
        return;
    }
    let error = WorkDirs::open(work, OWNER).await.unwrap_err().to_string();
    assert!(error.contains("belongs to user 12345") && error.contains("WORK_DIR"), "{error}");
}

#[tokio::test]
async fn what_another_user_left_is_neither_believed_nor_removed() {
    let root = tempfile::tempdir().unwrap();
    let task_id = uuid::Uuid::from_u128(1);
    let (dirs, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    crate::journal::LeaseJournal::begin(&*dirs.journal(), task_id).await;
    let own = dirs.own.clone();
    drop(dirs);
    if std::os::unix::fs::chown(&own, Some(12_345), None).is_err() {
        return;
    }
    let (_again, orphans) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    assert_eq!(orphans, [], "somebody else may have made the journal up");
    assert!(own.exists());
}

#[tokio::test]
async fn a_cleaner_of_temporary_files_does_not_give_a_living_nodes_directory_away() {
    let root = tempfile::tempdir().unwrap();
    let (alive, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    let task = alive.task_dir();
    task.disk().folder().unwrap();
    // Every file that is there goes; the directories are in use.
    for entry in fs::read_dir(&alive.own).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let (_second, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    assert!(task.disk().path().exists(), "the second node leaves what the first one uses");
}

/// Removes a folder with all that is in it, while the journal's thread may be making its file anew.
fn take_away(folder: &Path) {
    let gone = (0..1000).any(|_| {
        let _ = fs::remove_dir_all(folder);
        let gone = !folder.exists();
        if !gone {
            std::thread::sleep(Duration::from_millis(10));
        }
        gone
    });
    assert!(gone, "{} can't be removed: {:?}", folder.display(), fs::remove_dir_all(folder));
}

#[tokio::test]
async fn a_directory_that_goes_is_made_again_and_locked() {
    let root = tempfile::tempdir().unwrap();
    let work = root.path().join("work");
    let (dirs, _) = WorkDirs::open(work.clone(), OWNER).await.unwrap();
    dirs.check().unwrap();
    take_away(&work);
    let error = dirs.task_dir().disk().folder().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "what holds it is not made by a task");
    dirs.check().unwrap();
    assert!(dirs.logs().is_dir());
    let task = dirs.task_dir();
    task.disk().folder().unwrap();
    let (_second, _) = WorkDirs::open(work, OWNER).await.unwrap();
    assert!(task.disk().path().exists(), "the directory that was made again is locked like the first");
}

#[tokio::test]
async fn whatever_lies_where_the_logs_belong_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let (dirs, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    let elsewhere = root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let put: [fn(&Path, &Path); 3] = [
        |logs, _| fs::write(logs, "a file").unwrap(),
        |logs, elsewhere| std::os::unix::fs::symlink(elsewhere, logs).unwrap(),
        |logs, _| rustix::fs::mkfifoat(rustix::fs::CWD, logs, rustix::fs::Mode::RWXU).unwrap(),
    ];
    for put in put {
        fs::remove_dir_all(dirs.logs()).unwrap();
        put(&dirs.logs(), &elsewhere);
        dirs.check().unwrap();
        assert!(fs::symlink_metadata(dirs.logs()).unwrap().is_dir());
    }
    assert!(elsewhere.is_dir(), "what a link leads to stays");
}

#[tokio::test]
async fn a_directory_that_can_not_be_written_to_is_an_error_with_its_cure() {
    let root = tempfile::tempdir().unwrap();
    let work = root.path().join("work");
    let (dirs, _) = WorkDirs::open(work.clone(), OWNER).await.unwrap();
    take_away(&work);
    // Not even root can make a directory below a file.
    fs::write(&work, "").unwrap();
    let error = dirs.check().unwrap_err().to_string();
    assert!(error.contains("WORK_DIR"), "{error}");
}

#[tokio::test]
async fn a_node_of_another_identity_leaves_the_journal_to_the_one_that_can_use_it() {
    let root = tempfile::tempdir().unwrap();
    let task_id = uuid::Uuid::from_u128(1);
    let (dirs, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    crate::journal::LeaseJournal::begin(&*dirs.journal(), task_id).await;
    // Dropped with a lease, the folder stays, as after a crash.
    drop(dirs);
    let (other, orphans) = WorkDirs::open(root.path().to_owned(), "dms another").await.unwrap();
    assert_eq!(orphans, []);
    drop(other);
    let (_again, orphans) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
    assert_eq!(orphans, [OrphanedLease { task_id }]);
}
