//! What a guest writes and makes in its directory, by whatever name, without a node: the plugin host is asked
//! directly, so that the directory can be looked at when the run has ended.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::{Runner as _, RunnerCall};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::files::{FileInputs, FileOutputs};
use posemesh_tests::guests::{DATA, Guest, HOARD, NESTED, UNLINKED, WASI3_FILES};
use serde_json::json;
use uuid::Uuid;

const MIB: u64 = 1 << 20;
/// What every guest here may write.
const POLICY: &str = "[limits]\nscratch_bytes = 8388608\nscratch_files = 2000\ndeadline_ms = 120000\n";

/// Loads a guest; these components are ours, so they are compiled in this process.
async fn load(guest: Guest) -> Generation {
    load_with(guest, POLICY).await
}

async fn load_with(guest: Guest, policy_text: &str) -> Generation {
    let settings = LoaderSettings::default().in_this_process();
    let engine = RunnerEngine::new().expect("wasmtime");
    let loader = Loader::open(engine, settings).await.expect("a loader");
    let dir = tempfile::tempdir().expect("a folder");
    let policy = dir.path().join("policy.toml");
    std::fs::write(&policy, policy_text).expect("a policy");
    let policy = Policy::read(&policy).expect("a policy that can be followed");
    let loaded = Generation::load(&loader, &guest.path(), 1, &policy, &|_| None, &|_| {}).await;
    loaded.unwrap_or_else(|error| panic!("{}: {error}", guest.name))
}

async fn run(runner: &Generation, how: &str, dir: &Path) -> Result<(), RunFailure> {
    let mut task = Task::new(Uuid::new_v4(), "");
    task.meta = json!(how).into();
    let outputs = FileOutputs::new(dir.to_owned(), None, task.id.to_string());
    let call = RunnerCall {
        task,
        inputs: Arc::new(FileInputs::new([].into())),
        outputs: Arc::new(outputs),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(dir),
        log_file: None,
    };
    tokio::time::timeout(Duration::from_secs(120), runner.run(call)).await.expect("it ends")
}

/// Bytes that the files of a directory take on the disk.
fn taken(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(dir).expect("a folder").flatten();
    entries.map(|entry| entry.metadata().expect("an entry").blocks() * 512).sum()
}

fn assert_limit(result: Result<(), RunFailure>, how: &str, limit: &str) {
    let failure = result.expect_err(how);
    assert_eq!(failure.kind, FailureKind::Limit, "{how}: {failure:?}");
    assert_eq!(failure.blame, Blame::Runner, "{how}: {failure:?}");
    assert!(failure.reason.contains(limit), "{how}: {failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_file_without_a_name_counts_as_long_as_it_is_open() {
    let (runner, dir) = (load(UNLINKED).await, tempfile::tempdir().expect("a folder"));
    assert_limit(run(&runner, "", dir.path()).await, "unlinked", "`scratch_bytes` of 8MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn bytes_and_files_count_however_they_are_named() {
    let runner = load(HOARD).await;
    for how in ["sparse", "hole", "append", "copies", "renames", "writes", "symlinks"] {
        let dir = tempfile::tempdir().expect("a folder");
        let result = run(&runner, how, dir.path()).await;
        match how {
            // 4,000 bytes each: 2,000 of them would be less than the limit of bytes.
            "symlinks" => assert_limit(result, how, "`scratch_files` of 2000"),
            _ => assert_limit(result, how, "`scratch_bytes` of 8MiB"),
        }
        let taken = taken(&dir.path().join("sandbox"));
        assert!(taken <= 9 * MIB, "{how}: nothing is written beyond the limit, and there are {taken} bytes");
    }
    for how in ["hard_links", "folders"] {
        let dir = tempfile::tempdir().expect("a folder");
        assert_limit(run(&runner, how, dir.path()).await, how, "`scratch_files` of 2000");
        let made = std::fs::read_dir(dir.path().join("sandbox")).expect("the folder").count();
        assert!(made <= 2001, "{how}: nothing is made beyond the limit, and there are {made}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_makes_room_again() {
    let (runner, dir) = (load(HOARD).await, tempfile::tempdir().expect("a folder"));
    run(&runner, "tidy", dir.path()).await.expect("it never has more than it may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn folders_are_nested_64_levels_deep_and_no_deeper() {
    let runner = load(NESTED).await;
    for (how, wanted) in [("down", "stopped at level 64: name-too-long"), ("rename", "the move was refused")]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let failure = run(&runner, how, dir.path()).await.expect_err("it is refused");
        assert!(failure.reason.contains(wanted), "{failure:?}");
        assert!(failure.details.to_string().contains("more than 64 levels below /work"), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn the_file_system_of_wasi_0_3_counts_as_that_of_0_2() {
    let runner = load(WASI3_FILES).await;
    for how in ["write", "append", "set_size", "files", "symlinks"] {
        let dir = tempfile::tempdir().expect("a folder");
        let limit = match how {
            "files" | "symlinks" => "`scratch_files` of 2000",
            _ => "`scratch_bytes` of 8MiB",
        };
        assert_limit(run(&runner, how, dir.path()).await, how, limit);
    }
    let dir = tempfile::tempdir().expect("a folder");
    assert_limit(run(&runner, "listings", dir.path()).await, "listings", "`handles` of 1024");
    let dir = tempfile::tempdir().expect("a folder");
    let failure = run(&runner, "nested", dir.path()).await.expect_err("it is refused");
    assert!(failure.reason.contains("stopped at level 64: ErrorCode::NameTooLong"), "{failure:?}");
}

/// A guest that waited for a FIFO in the host could not be ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifo_in_a_granted_folder_is_not_waited_for() {
    let (models, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let made = Command::new("mkfifo").arg(models.path().join("model.bin")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo works");
    let policy = format!("[directories]\nmodels = {:?}\n", models.path());
    let failure = run(&load_with(DATA, &policy).await, "", dir.path()).await.expect_err("it can't be read");
    assert_eq!(failure.kind, FailureKind::RunnerError, "{failure:?}");
    assert!(failure.reason.contains("ot supported"), "{failure:?}");
}

/// A task whose directory went while it ran fails by the host's fault, whatever the runner says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_went_is_the_hosts_fault() {
    let (runner, dir) = (load(HOARD).await, tempfile::tempdir().expect("a folder"));
    let sandbox = dir.path().join("sandbox");
    let cleaner = tokio::task::spawn_blocking(move || {
        // As a cleaner of temporary files does, while the guest makes and removes folders.
        let began = std::time::Instant::now();
        while !sandbox.join("inputs").exists() {
            assert!(began.elapsed() < posemesh_tests::TIMEOUT, "the guest makes no folder");
            std::thread::yield_now();
        }
        while sandbox.exists() {
            assert!(began.elapsed() < 2 * posemesh_tests::TIMEOUT, "the folder can't be removed");
            let _ = std::fs::remove_dir_all(&sandbox);
        }
    });
    let failure = run(&runner, "while_it_is_there", dir.path()).await.expect_err("its directory went");
    cleaner.await.expect("it went");
    assert_eq!(failure.blame, Blame::Host, "{failure:?}");
    assert!(failure.reason.contains("the task's directory went"), "{failure:?}");
}

/// A small file system of its own, for as long as this lives.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// None where this user may not mount anything.
    fn new(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path());
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_the_hosts_fault() {
    let runner = load(HOARD).await;
    for (options, how) in [("size=4m", "append"), ("size=4m", "writes"), ("nr_inodes=50", "folders")] {
        let Some(disk) = Mounted::new(options) else {
            eprintln!("skipped: a file system can be mounted by the administrator only");
            return;
        };
        let failure = run(&runner, how, disk.0.path()).await.expect_err("the disk is full");
        assert_eq!(failure.blame, Blame::Host, "{how}: {failure:?}");
        assert_eq!(failure.kind, FailureKind::RunnerError, "its words stay: {failure:?}");
        assert!(failure.reason.contains("the node's disk is full"), "{how}: {failure:?}");
    }
    if let Some(disk) = Mounted::new("size=4m") {
        let path = disk.0.path().join("task");
        std::fs::create_dir_all(path.join("sandbox/inputs")).expect("a folder");
        for name in ["inputs", "spool", "tmp"] {
            std::fs::create_dir(path.join(name)).expect("a folder");
        }
        assert!(remount_read_only(disk.0.path()), "it was mounted by this test");
        let failure = run(&runner, "folders", &path).await.expect_err("nothing can be written");
        assert_eq!(failure.blame, Blame::Host, "{failure:?}");
        assert!(failure.reason.contains("read-only"), "{failure:?}");
    }
}

fn remount_read_only(dir: &Path) -> bool {
    Command::new("mount").args(["-o", "remount,ro"]).arg(dir).status().is_ok_and(|status| status.success())
}
