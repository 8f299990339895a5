#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use posemesh_plugin_host::registry::{RegistryEvent, RegistryObserver as _};
use rusqlite::Connection;
use time::OffsetDateTime;

use super::database::BUSY;
use super::entry::TaskEnd;
use super::lock::Locked;
use super::*;

fn settings(folder: &Path) -> ArchiveSettings {
    ArchiveSettings { folder: Some(folder.to_owned()), ..ArchiveSettings::default() }
}

fn start(folder: &Path, node: &str) -> Archive {
    Archive::start(settings(folder), node.to_owned())
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

fn began(lease: u64, at: OffsetDateTime) -> Entry {
    Entry::Task(Box::new(TaskEntry {
        lease,
        leased_at: at,
        task: id(lease),
        job: None,
        domain: Some(id(7)),
        capability: "/posemesh/noop/v1".to_owned(),
        runner: None,
        sha256: None,
        end: None,
    }))
}

fn ended(lease: u64, outcome: &'static str, at: OffsetDateTime) -> Entry {
    let Entry::Task(began) = began(lease, at) else { unreachable!() };
    let failed = outcome == "failed";
    Entry::Task(Box::new(TaskEntry {
        runner: Some("noop 0.1.0 #1".to_owned()),
        sha256: Some("ab".repeat(32)),
        end: Some(TaskEnd {
            took_ms: 1500,
            outcome,
            kind: failed.then_some("deadline"),
            blame: failed.then_some("runner"),
            reason: failed.then(|| "too slow".to_owned()),
            bytes_in: 1,
            bytes_out: u64::MAX,
            memory_bytes: Some(2),
            cpu_ms: None,
        }),
        ..*began
    }))
}

impl Archive {
    async fn settle(&self) {
        assert!(self.0.as_ref().unwrap().flush().await, "the thread answers");
    }
}

/// Drops an archive that has said nothing of its end, and waits until its thread has ended.
fn die(folder: &Path, archive: Archive) {
    drop(archive);
    let is_alive = |name: &str| name.starts_with("run-");
    while fs::read_dir(folder).unwrap().any(|entry| is_alive(&entry.unwrap().file_name().to_string_lossy())) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn rows(folder: &Path, asked: &Asked) -> Vec<TaskRow> {
    Archived::open(&database_in(folder)).unwrap().tasks(asked).unwrap()
}

/// The numbers of the tasks.
fn tasks(folder: &Path, asked: &Asked) -> Vec<u64> {
    let number = |row: TaskRow| u64::try_from(row.task.parse::<Uuid>().unwrap().as_u128()).unwrap();
    rows(folder, asked).into_iter().map(number).collect()
}

fn all() -> Asked {
    Asked { limit: 1_000_000, ..Asked::default() }
}

fn aside(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.contains(".unreadable-")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_put_is_read_back_while_the_node_runs_and_after_it_has_ended_and_by_filters() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/data");
    let now = OffsetDateTime::now_utc();
    let archive = start(&folder, "0xabc");
    archive.put(|| ended(1, "completed", now - Duration::from_secs(7200)));
    archive.put(|| began(2, now - Duration::from_secs(60)));
    archive.put(|| began(3, now - Duration::from_secs(30)));
    archive.put(|| ended(2, "failed", now - Duration::from_secs(60)));
    archive.observe(&RegistryEvent::RolledBack { runner: "noop", why: "by the\noperator" });
    archive.observe(&RegistryEvent::Breaker { runner: "other", state: "open", why: "5 failures" });
    archive.settle().await;
    for (path, mode) in [(folder.clone(), 0o700), (database_in(&folder), 0o600)] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    for beside in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
        let mode = beside.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", beside.path().display());
    }
    // A lease that has ended takes the place of the one that began, once.
    assert_eq!(tasks(&folder, &all()), [3, 2, 1]);
    assert_eq!(rows(&folder, &all())[0].outcome, "running");
    archive.put(|| ended(3, "completed", now - Duration::from_secs(30)));
    archive.end().await;
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["history.lock", "history.sqlite"], "nothing else is left of a node that has ended");
    assert_eq!(tasks(&folder, &Asked { failed: true, ..all() }), [2]);
    assert_eq!(tasks(&folder, &Asked { limit: 1, ..all() }), [3]);
    let since = Some(now - Duration::from_secs(600));
    assert_eq!(tasks(&folder, &Asked { since, ..all() }), [3, 2]);
    assert_eq!(tasks(&folder, &Asked { runner: Some("noop".to_owned()), ..all() }).len(), 3);
    assert_eq!(tasks(&folder, &Asked { runner: Some("noo".to_owned()), ..all() }).len(), 0);
    let bad = &rows(&folder, &Asked { failed: true, ..all() })[0];
    let said = (bad.kind.as_deref(), bad.blame.as_deref(), bad.reason.as_deref());
    assert_eq!(said, (Some("deadline"), Some("runner"), Some("too slow")));
    assert_eq!((bad.node.as_str(), bad.took_ms, bad.bytes_out), ("0xabc", Some(1500), Some(i64::MAX)));
    assert_eq!(bad.sha256.as_deref(), Some("ab".repeat(32).as_str()));
    let archived = Archived::open(&database_in(&folder)).unwrap();
    let generations = archived.generations(&all()).unwrap();
    let events: Vec<_> =
        generations.iter().map(|row| (row.runner.as_deref().unwrap_or("-"), row.event.as_str())).collect();
    let wanted =
        [("-", "node_ended"), ("other", "breaker_open"), ("noop", "rolled_back"), ("-", "node_started")];
    assert_eq!(events, wanted);
    assert!(!generations[2].why.as_deref().unwrap().contains('\n'), "on one line");
}

#[tokio::test]
async fn what_a_killed_process_left_open_is_unknown_and_what_it_could_not_even_note_is_told_too() {
    let dir = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let archive = start(dir.path(), "a");
    archive.put(|| ended(1, "completed", now));
    archive.put(|| began(2, now));
    archive.settle().await;
    // As if its process had been killed: the lock is gone, and it has said nothing.
    die(dir.path(), archive);
    let next = start(dir.path(), "a");
    for orphan in 1..=3 {
        next.orphan(id(orphan));
    }
    next.settle().await;
    let how: Vec<_> = rows(dir.path(), &all()).into_iter().map(|row| (row.task, row.outcome)).collect();
    assert_eq!(how.len(), 3, "each once: {how:?}");
    for (task, outcome) in [(1, "completed"), (2, "unknown"), (3, "unknown")] {
        assert!(how.contains(&(id(task).to_string(), outcome.to_owned())), "{task}: {how:?}");
    }
    let archived = Archived::open(&database_in(dir.path())).unwrap();
    let events = archived.generations(&all()).unwrap();
    assert!(events.iter().any(|row| row.event == "node_killed"), "{events:?}");
    die(dir.path(), next);
    // Nobody has opened it since: a reader sees as much.
    let lone = start(dir.path(), "a");
    lone.put(|| began(9, now));
    lone.settle().await;
    let asked = Asked { failed: true, ..all() };
    assert!(!tasks(dir.path(), &asked).contains(&9), "it is worked on");
    die(dir.path(), lone);
    assert!(tasks(dir.path(), &asked).contains(&9), "its process is dead");
}

#[tokio::test]
async fn two_nodes_write_to_one_database_and_each_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let first = start(dir.path(), "a");
    first.settle().await;
    let second = start(dir.path(), "b");
    for number in 0..500 {
        first.put(|| ended(number, "completed", now));
        second.put(|| ended(1000 + number, "completed", now));
    }
    first.settle().await;
    second.settle().await;
    assert_eq!(tasks(dir.path(), &all()).len(), 1000);
    let views = [&first, &second].map(Archive::view);
    assert_eq!(views.iter().map(|view| view.lost).sum::<u64>(), 0);
    assert!(views[1].shared_with[0].starts_with("a (process "), "{views:?}");
    let missing = Archived::open(&database_in(&dir.path().join("nowhere"))).unwrap_err().to_string();
    assert!(missing.contains("there is none"), "{missing}");
    assert!(!dir.path().join("nowhere").exists());
}

#[tokio::test]
async fn the_database_stays_within_its_size_and_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc() - Duration::from_secs(3600);
    let with = |most: u64| ArchiveSettings { max_bytes: most, ..settings(dir.path()) };
    let archive = Archive::start(with(2 << 20), "a".to_owned());
    for number in 0..8000 {
        archive.put(|| ended(number, "failed", now + Duration::from_millis(number)));
        if number % 1000 == 999 {
            archive.settle().await;
        }
    }
    let size = || database_in(dir.path()).metadata().unwrap().len();
    let kept = tasks(dir.path(), &all());
    assert!(kept.len() > 500 && kept.len() < 8000, "{}", kept.len());
    assert_eq!(kept[0], 7999, "the newest stay");
    archive.end().await;
    assert!(size() <= 2 << 20, "{}", size());
    // A bound that is made smaller holds from the next start on.
    let archive = Archive::start(with(1 << 20), "a".to_owned());
    archive.end().await;
    assert!(size() <= 1 << 20, "{}", size());
    assert_eq!(tasks(dir.path(), &all())[0], 7999);
    let short = ArchiveSettings { max_age: Duration::ZERO, ..settings(dir.path()) };
    let archive = Archive::start(short, "a".to_owned());
    archive.put(|| ended(9000, "completed", now + Duration::from_secs(2 * 3600)));
    archive.end().await;
    let kept = tasks(dir.path(), &all());
    assert!(kept == [9000], "all others are too old, and {} are there", kept.len());
}

#[tokio::test]
async fn what_can_not_be_read_is_moved_aside_whole_and_a_new_history_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let path = database_in(dir.path());
    let now = OffsetDateTime::now_utc();
    // No database at all, one of another program, and one of ours that has lost its middle.
    fs::write(&path, "no database at all ".repeat(1000)).unwrap();
    let archive = start(dir.path(), "a");
    archive.put(|| ended(1, "completed", now));
    archive.end().await;
    assert_eq!(tasks(dir.path(), &all()), [1]);
    let told = archive.view().moved_aside.unwrap();
    assert!(told.contains("could not be read") && told.contains(".unreadable-"), "{told}");
    assert_eq!(archive.view().warnings(), [told]);
    assert_eq!(aside(dir.path()).len(), 1);
    fs::remove_file(&path).unwrap();

    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(other);
    let error = Archived::open(&path).unwrap_err().to_string();
    assert!(error.contains("another program"), "{error}");
    let archive = start(dir.path(), "a");
    for number in 0..2000 {
        archive.put(|| ended(number, "completed", now));
    }
    archive.end().await;
    assert_eq!(tasks(dir.path(), &all()).len(), 2000);
    assert_eq!(aside(dir.path()).len(), 2);

    let mut bytes = fs::read(&path).unwrap();
    let (from, to) = (bytes.len() / 3, bytes.len() / 2);
    bytes[from..to].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let archive = start(dir.path(), "a");
    archive.put(|| ended(5, "completed", now));
    archive.end().await;
    assert_eq!(tasks(dir.path(), &all()), [5]);
    assert_eq!(aside(dir.path()).len(), 3);
    let whole = aside(dir.path()).into_iter().any(|name| fs::read(dir.path().join(name)).unwrap() == bytes);
    assert!(whole, "nothing of it is lost");

    // Not without end: somebody has to look at them some day.
    for number in 0..20 {
        fs::write(dir.path().join(format!("history.sqlite.unreadable-1-{number}")), "").unwrap();
    }
    fs::write(&path, "rubbish ".repeat(1000)).unwrap();
    let archive = start(dir.path(), "a");
    archive.put(|| ended(6, "completed", now));
    archive.settle().await;
    let view = archive.view();
    assert!(view.error.as_deref().unwrap().contains("keep them elsewhere or remove them"), "{view:?}");
    assert!(fs::read(&path).unwrap().starts_with(b"rubbish"));
}

#[tokio::test]
async fn a_folder_or_file_that_can_not_be_used_costs_the_history_alone_and_what_waits_is_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let archive = start(&file.join("below"), "a");
    archive.put(|| ended(1, "completed", now));
    archive.settle().await;
    let view = archive.view();
    assert!(view.error.is_some() && view.waiting == 1 && view.lost == 0, "{view:?}");
    assert!(archive.view().warnings()[0].contains("the node goes on without it"), "{view:?}");
    // Mended: nothing is lost.
    fs::remove_file(&file).unwrap();
    archive.end().await;
    assert_eq!(tasks(&file.join("below"), &all()), [1]);
    assert_eq!((archive.view().error, archive.view().waiting), (None, 0));

    // A link is not written through.
    let (linked, target) = (dir.path().join("linked"), dir.path().join("target"));
    fs::create_dir(&linked).unwrap();
    fs::write(&target, "theirs").unwrap();
    symlink(&target, database_in(&linked)).unwrap();
    let archive = start(&linked, "a");
    archive.settle().await;
    assert!(archive.view().error.unwrap().contains("a link"));
    assert_eq!(fs::read(&target).unwrap(), b"theirs");
    // A folder that is reached by one is.
    let by_link = dir.path().join("by-link");
    symlink(file.join("below"), &by_link).unwrap();
    assert_eq!(tasks(&by_link, &all()), [1]);

    let off = Archive::default();
    off.put(|| ended(1, "completed", now));
    off.end().await;
    assert_eq!(off.view(), HistoryView::default());
}

/// A small file system of its own, for as long as this lives.
struct Disk(tempfile::TempDir);

impl Disk {
    /// None where this user may not mount anything.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(dir.path());
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }

    fn remount(&self, how: &str) {
        let mut mount = std::process::Command::new("mount");
        assert!(mount.args(["-o", how]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_disk_that_is_full_and_one_that_is_read_only_are_told_and_cost_nothing_that_can_wait() {
    let Some(disk) = Disk::new() else {
        eprintln!("skipped: a file system can be mounted by the administrator only");
        return;
    };
    let (now, folder) = (OffsetDateTime::now_utc(), disk.0.path().join("data"));
    let archive = start(&folder, "a");
    archive.put(|| ended(1, "completed", now));
    archive.settle().await;
    assert_eq!(archive.view().error, None);
    // Somebody else fills it.
    let filler = disk.0.path().join("filler");
    let _ = fs::write(&filler, vec![1; 4 << 20]);
    for number in 2..200 {
        archive.put(|| ended(number, "failed", now));
    }
    archive.settle().await;
    let view = archive.view();
    assert!(view.error.as_deref().is_some_and(|error| error.contains("full")), "{view:?}");
    fs::remove_file(&filler).unwrap();
    archive.settle().await;
    assert_eq!((archive.view().error, archive.view().lost), (None, 0));
    assert_eq!(tasks(&folder, &all()).len(), 199, "what has waited is there, and nothing went for it");
    archive.end().await;
    disk.remount("remount,ro");
    let archive = start(&folder, "a");
    archive.put(|| ended(1, "completed", now));
    archive.settle().await;
    assert!(archive.view().error.is_some(), "{:?}", archive.view());
    assert_eq!(tasks(&folder, &all()).len(), 199, "it can be read");
    disk.remount("remount,rw");
    archive.end().await;
    assert_eq!((archive.view().error, tasks(&folder, &all()).len()), (None, 200));
}

#[tokio::test]
async fn more_than_can_wait_is_counted_as_lost() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let archive = start(&dir.path().join("file/below"), "a");
    for number in 0..6000 {
        archive.put(|| began(number, OffsetDateTime::now_utc()));
        if number % 500 == 0 {
            archive.settle().await;
        }
    }
    archive.settle().await;
    let view = archive.view();
    assert_eq!(view.lost + view.waiting, 6000, "{view:?}");
    assert!(view.waiting <= 4096, "{view:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = database_in(dir.path());
    start(dir.path(), "a").end().await;
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    let archive = start(dir.path(), "a");
    archive.put(|| ended(1, "completed", OffsetDateTime::now_utc()));
    archive.settle().await;
    let error = archive.view().error.unwrap();
    assert!(error.contains("newer version") && error.contains("another DATA_DIR"), "{error}");
    assert_eq!(aside(dir.path()), [""; 0]);
    let error = Archived::open(&path).unwrap_err().to_string();
    assert!(error.contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_taken_away_is_made_again_and_a_process_that_opens_it_for_ever_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let archive = start(dir.path(), "a");
    archive.put(|| ended(1, "completed", now));
    archive.settle().await;
    fs::remove_file(database_in(dir.path())).unwrap();
    archive.put(|| ended(2, "completed", now));
    archive.settle().await;
    assert_eq!(tasks(dir.path(), &all()), [2]);
    let _held = Locked::opening(dir.path(), BUSY).unwrap();
    let error = Locked::opening(dir.path(), Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
}

#[tokio::test]
async fn a_node_that_ends_while_somebody_holds_its_history_was_not_killed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = start(dir.path(), "a");
    archive.put(|| began(1, OffsetDateTime::now_utc()));
    archive.settle().await;
    let other = Connection::open(database_in(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    archive.end().await;
    let process = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let mark = process.into_iter().find(|path| path.to_string_lossy().contains("run-")).unwrap();
    assert_eq!(fs::read(&mark).unwrap(), b"ended\n");
    // The process is gone before it gets the database: here its thread has to give up instead.
    drop(archive);
    let is_held = || fs::File::open(&mark).is_ok_and(|file| file.try_lock_shared().is_err());
    while is_held() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(other);
    let next = start(dir.path(), "a");
    next.settle().await;
    let asked = all();
    let events = Archived::open(&database_in(dir.path())).unwrap().generations(&asked).unwrap();
    let of = |event: &str| events.iter().find(|row| row.event == event);
    assert!(of("node_killed").is_none(), "{events:?}");
    let why = of("node_ended").and_then(|row| row.why.clone()).unwrap();
    assert!(why.contains("could not write its end"), "{why}");
    let reason = rows(dir.path(), &asked).remove(0).reason.unwrap();
    assert!(reason.starts_with("the node ended while its history could not be written to"), "{reason}");
    assert!(!mark.exists(), "it has been told");
}

#[tokio::test]
async fn what_lies_in_the_place_of_a_lock_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.lock");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let archive = start(dir.path(), "a");
    archive.settle().await;
    let error = archive.view().error.unwrap();
    assert!(error.contains("history.lock: ") && error.contains("FIFO"), "{error}");
}

#[tokio::test]
async fn a_history_whose_files_are_taken_away_or_written_over_is_begun_anew_at_the_latest_by_the_next_process()
 {
    let dir = tempfile::tempdir().unwrap();
    let path = database_in(dir.path());
    let archive = start(dir.path(), "a");
    let now = OffsetDateTime::now_utc();
    let mut number = 0;
    let mut put = async |archive: &Archive| {
        number += 1;
        archive.put(|| ended(number, "completed", now));
        archive.settle().await;
        number
    };
    put(&archive).await;
    let copy = fs::read(&path).unwrap();
    // A cleaner takes away what lies beside it.
    for ending in ["-shm", "-wal"] {
        fs::remove_file(format!("{}{ending}", path.display())).unwrap();
        put(&archive).await;
    }
    // Cut, and written over with a copy from before.
    fs::write(&path, "").unwrap();
    put(&archive).await;
    let warnings = archive.view().warnings();
    assert!(warnings.iter().any(|warning| warning.contains("was cut to 0 bytes")), "{warnings:?}");
    fs::write(&path, &copy).unwrap();
    put(&archive).await;
    archive.end().await;
    // Whatever became of it: the next process keeps a history.
    let next = start(dir.path(), "a");
    next.put(|| ended(1000, "completed", now));
    next.end().await;
    assert!(tasks(dir.path(), &all()).contains(&1000), "{:?}", next.view());
}
