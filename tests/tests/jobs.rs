//! `posemesh-node job`, as an application uses it: against a devnet with a node.

use std::path::Path;
use std::process::Output;

use posemesh_devnet::TaskStatus;
use posemesh_tests::guests::{COPY, PANIC};
use posemesh_tests::{NOOP, Scene, node_binary};
use serde_json::Value;
use tokio::process::Command;

/// Runs a command with the environment that `devnet` prints.
async fn job(scene: &Scene, dir: &Path, args: &[&str]) -> Output {
    let devnet = &scene.devnet;
    let mut command = Command::new(node_binary());
    command
        .arg("job")
        .args(args)
        .current_dir(dir)
        .env("DDS_BASE_URL", devnet.dds_url())
        .env("DMS_BASE_URL", devnet.dms_url())
        .env("TOKEN", devnet.app_token())
        .env("DOMAIN_ID", devnet.domain_id().to_string())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(posemesh_tests::TIMEOUT * 3, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{args:?} has not ended")).expect("it starts");
    for (what, secret) in devnet.secrets() {
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
        assert!(!said.concat().contains(&secret), "{args:?} prints a {what}");
    }
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_in_the_job_is_waited_for_and_its_artifacts_come_back() {
    let scene = Scene::new().await.serving(COPY);
    let node = scene.node();
    let dir = tempfile::tempdir().expect("a folder");
    // More than one request of the domain server takes at a time.
    let large: Vec<u8> = (0..40_u32 << 20).step_by(4).flat_map(u32::to_le_bytes).collect();
    std::fs::write(dir.path().join("large scan.bin"), &large).expect("a file");
    std::fs::write(dir.path().join("small.txt"), "small").expect("a file");
    let args = [
        "submit",
        "--capability",
        COPY.capability,
        "--input",
        "large scan.bin",
        "small.txt",
        "--label",
        "a copy",
        "--out",
        "results",
    ];
    let output = job(&scene, dir.path(), &args).await;
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", node.log());
    let printed = text(&output.stdout);
    let id = printed.lines().next().expect("the job's id");
    assert!(printed.contains("results/0-0.bin  41943040 bytes"), "{printed}");
    assert!(said.contains("storing large scan.bin  41943040 bytes"), "{said}");
    assert!(said.contains("completed in") && said.contains("2 artifacts"), "{said}");
    let fetched = std::fs::read(dir.path().join("results/0-0.bin")).expect("the first artifact");
    assert!(fetched == large, "the first artifact is the first input");
    assert_eq!(std::fs::read(dir.path().join("results/1-0.bin")).expect("the second"), b"small");

    let shown = job(&scene, dir.path(), &["show", id]).await;
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("completed") && shown.contains("a copy") && shown.contains("  artifact "),
        "{shown}"
    );
    let listed = text(&job(&scene, dir.path(), &["list", "--status", "completed"]).await.stdout);
    assert!(listed.contains(id), "{listed}");
    let none = text(&job(&scene, dir.path(), &["list", "--status", "failed"]).await.stdout);
    assert_eq!(none.trim(), "no jobs");
    let odd = job(&scene, dir.path(), &["list", "--status", "done"]).await;
    assert_eq!(odd.status.code(), Some(2), "a word that no job server knows");
    assert!(text(&odd.stderr).contains("completed"), "{}", text(&odd.stderr));

    // Where the first can't be written, the second is fetched all the same, and both by another try.
    std::fs::create_dir_all(dir.path().join("later/0-0.bin/in the way")).expect("a folder");
    let part = job(&scene, dir.path(), &["fetch", id, "--out", "later"]).await;
    let said = text(&part.stderr);
    assert_eq!(part.status.code(), Some(1), "{said}");
    assert!(said.contains("later/0-0.bin") && said.contains("1 of 2 artifacts were not fetched"), "{said}");
    assert_eq!(std::fs::read(dir.path().join("later/1-0.bin")).expect("the second"), b"small");
    std::fs::remove_dir_all(dir.path().join("later/0-0.bin")).expect("removed");
    let rest = job(&scene, dir.path(), &["fetch", id, "--out", "later"]).await;
    assert!(rest.status.success(), "{}", text(&rest.stderr));
    assert!(std::fs::read(dir.path().join("later/0-0.bin")).expect("the first") == large);
    let again = job(&scene, dir.path(), &["cancel", id]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("409"), "{}", text(&again.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_one_name_are_the_parts_of_one_input() {
    let scene = Scene::new().await.serving(COPY);
    let node = scene.node();
    let dir = tempfile::tempdir().expect("a folder");
    for (file, contents) in [("a", "one"), ("b", "two"), ("c", "three")] {
        std::fs::create_dir(dir.path().join(file)).expect("a folder");
        std::fs::write(dir.path().join(file).join("points.txt"), contents).expect("a file");
    }
    let inputs = ["both=a/points.txt", "both=b/points.txt", "single=c/points.txt"];
    let submit = ["submit", "--capability", COPY.capability, "--out", "results", "--input"];
    let output = job(&scene, dir.path(), &[&submit[..], &inputs[..]].concat()).await;
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", node.log());
    for (artifact, contents) in [("0-0.bin", "one"), ("0-1.bin", "two"), ("1-0.bin", "three")] {
        let fetched = std::fs::read_to_string(dir.path().join("results").join(artifact));
        assert_eq!(fetched.expect("an artifact"), contents, "{artifact}\n{said}");
    }
    let unclear = ["submit", "--capability", COPY.capability, "--input", "a/points.txt", "b/points.txt"];
    let unclear = text(&job(&scene, dir.path(), &unclear).await.stderr);
    assert!(unclear.contains("two inputs have the name points.txt"), "{unclear}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_fails_is_told_with_its_reason_and_by_the_exit_code() {
    let scene = Scene::new().await.serving(PANIC);
    let node = scene.node();
    let dir = tempfile::tempdir().expect("a folder");
    let args = ["submit", "--capability", PANIC.capability, "--max-attempts", "1", "--wait"];
    let output = job(&scene, dir.path(), &args).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", node.log());
    assert!(said.contains("the runner panicked") && said.contains("ended as failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_nobody_works_on_can_be_shown_and_cancelled() {
    let scene = Scene::new().await;
    let dir = tempfile::tempdir().expect("a folder");
    let output = job(&scene, dir.path(), &["submit", "--capability", NOOP]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let id = printed.trim();
    let shown = job(&scene, dir.path(), &["show", id, "--json"]).await;
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["job"]["status"], "pending", "{shown}");
    assert_eq!(shown["tasks"][0]["capability"], NOOP, "{shown}");
    let cancelled = job(&scene, dir.path(), &["cancel", id]).await;
    assert!(cancelled.status.success(), "{}", text(&cancelled.stderr));
    let uuid = id.parse().expect("a UUID");
    assert_eq!(scene.devnet.job_status(uuid), Some(TaskStatus::Canceled.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_said_before_anything_is_sent() {
    let scene = Scene::new().await;
    let dir = tempfile::tempdir().expect("a folder");
    for (args, wanted) in [
        (vec!["submit", "--capability", NOOP, "--input", "nothing.ply"], "no such file"),
        (vec!["submit", "--capability", NOOP, "--input", "."], "it is a folder; name the files in it"),
        (vec!["submit", "--capability", NOOP, "--input", "/dev/zero"], "it is a device"),
        (vec!["submit", "--capability", NOOP, "--meta", "{"], "--meta is not JSON"),
        (vec!["list", "--dms", "http://dms.example/v1"], "unencrypted"),
        (vec!["show", "00000000-0000-0000-0000-000000000000"], "404"),
    ] {
        let output = job(&scene, dir.path(), &args).await;
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains(wanted), "{args:?}: {}", text(&output.stderr));
    }
    let mut without = Command::new(node_binary());
    without.args(["job", "list"]).env_remove("TOKEN").current_dir(dir.path());
    let output = without.output().await.expect("it starts");
    assert!(text(&output.stderr).contains("TOKEN is not set"), "{}", text(&output.stderr));
    assert!(scene.devnet.list_data().is_empty(), "nothing was stored");
}
