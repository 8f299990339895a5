//! Data that does not fit into memory is kept in the task's directory: within its budget, and removed at the
//! end.

use std::path::{Path, PathBuf};

use posemesh_devnet::{DevnetConfig, Endpoint, Fault};
use posemesh_tests::Scene;
use posemesh_tests::guests::COPY;

use crate::section_6::copying::{Copying, bytes};

const MIB: usize = 1 << 20;

/// A node that copies, with this limit on disk for the runner.
async fn copying(config: DevnetConfig, scratch_bytes: usize) -> Copying {
    let scene = Scene::with(config).await.serving(COPY);
    let policy = format!("[limits]\nscratch_bytes = {scratch_bytes}\n");
    std::fs::write(scene.plugins().join("copy.toml"), policy).expect("a policy");
    Copying::on(scene).await
}

/// Waits until the task's directory is removed, which happens after the end is reported.
async fn nothing_is_left(copying: &Copying) {
    let nothing = || Some(()).filter(|()| task_dirs(copying).is_empty());
    copying.scene.wait_until("no task's directory", &copying.node, nothing).await;
}

fn task_dirs(copying: &Copying) -> Vec<PathBuf> {
    let work = Path::new(&copying.scene.variables["WORK_DIR"]);
    let tasks = std::fs::read_dir(work).expect("WORK_DIR").flatten().flat_map(|process| {
        std::fs::read_dir(process.path()).into_iter().flatten().flatten().map(|entry| entry.path())
    });
    let is_task =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("task-"));
    tasks.filter(is_task).collect()
}

#[tokio::test]
async fn s6_9_parts_that_are_too_large_for_memory_are_sent_from_files() {
    let config = DevnetConfig { part_size: 9 << 20, ..DevnetConfig::default() };
    // Enough for two of the five parts that could be under way.
    let copying = copying(config, 18 * MIB).await;
    let input = bytes(40 * MIB);
    let copied = copying.copy(&input, Fault::answer(503, "later").on(Endpoint::MultipartPart).nth(2)).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::MultipartPart), 5 + 1, "one was sent again from its file");
    nothing_is_left(&copying).await;
}

#[tokio::test]
async fn s6_9_a_part_size_beyond_the_disk_budget_fails_by_its_name() {
    let config = DevnetConfig { part_size: 9 << 20, ..DevnetConfig::default() };
    let copying = copying(config, MIB).await;
    let copied = copying.copy(&bytes(20 * MIB), None).await;
    copied.assert_failed(&["scratch_bytes", "1048576"], &copying.node);
    assert_eq!(copied.count(Endpoint::MultipartAbort), 1, "the session was aborted");
    nothing_is_left(&copying).await;
}

#[tokio::test]
async fn s6_6_what_waits_whole_is_bounded_by_the_disk_budget() {
    for (scratch, fits) in [(64 * MIB, true), (MIB, false)] {
        let config = DevnetConfig {
            multipart_enabled: false,
            request_max_bytes: 100 << 20,
            ..DevnetConfig::default()
        };
        let copying = copying(config, scratch).await;
        // More than a task may keep in memory.
        let input = bytes(44 * MIB);
        let copied = copying.copy(&input, None).await;
        if fits {
            copied.assert_is(&input, &copying.node);
        } else {
            copied.assert_failed(&["scratch_bytes"], &copying.node);
            assert_eq!(copied.count(Endpoint::CreateData), 0);
        }
        nothing_is_left(&copying).await;
    }
}
