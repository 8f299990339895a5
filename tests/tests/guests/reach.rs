//! A runner that wants data which its task does not name, folders that no runner gets, and more than its share of both.

use posemesh_devnet::{Endpoint, TaskState};
use posemesh_tests::guests::{DATA, REACH};
use posemesh_tests::{NodeProcess, Scene, http_client};
use serde_json::{Value, json};
use uuid::Uuid;

/// A scene with this guest and its policy.
async fn scene(policy: &str) -> Scene {
    let scene = Scene::new().await.set("RUNNER_MAX_INPUT_REQUESTS", 40);
    std::fs::copy(REACH.path(), scene.plugins().join("reach.wasm")).expect("the guest");
    std::fs::write(scene.plugins().join("reach.toml"), policy).expect("a policy");
    scene
}

/// Has the guest do these things in a task with these inputs; what came of each.
async fn reach(scene: &Scene, node: &NodeProcess, inputs: &[String], wishes: &[String]) -> Vec<String> {
    let task = json!({"label": "t", "stage": "t", "capability": "/posemesh/test/reach/v1", "meta": wishes,
                      "inputs_cids": inputs, "max_attempts": 1});
    let job = scene.devnet.submit_job(json!({"label": "reach", "tasks": [task]})).expect("a job");
    let TaskState { failures, .. } = scene.wait_for_end(job.tasks[0], node).await;
    let reason = failures[0].reason.trim_start_matches("runner failed: ");
    reason.split(" | ").map(str::to_owned).collect()
}

async fn put(scene: &Scene, name: &str) -> Uuid {
    scene.devnet.put_data(name, "ply", vec![7; 1000]).await.expect("data")
}

async fn content(scene: &Scene, id: Uuid) -> Vec<u8> {
    scene.devnet.read_data(id).await.expect("data").to_vec()
}

#[track_caller]
fn check(node: &NodeProcess, came: &[String], wanted: &[&str]) {
    let fit = came.len() == wanted.len()
        && came.iter().zip(wanted).all(|(came, wanted)| wanted.split('&').all(|part| came.contains(part)));
    assert!(fit, "expected {wanted:#?}, got {came:#?}; the node printed:\n{}", node.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_task_reaches_only_the_data_that_it_names() {
    let scene = scene("").await;
    let (ours, by_name, other) =
        (put(&scene, "ours").await, put(&scene, "hall").await, put(&scene, "other").await);
    let node = scene.node();
    let data = format!("/api/v1/domains/{}/data", scene.devnet.domain_id());
    let inputs = [ours.to_string(), format!("{data}?name=hall")];
    let wishes = [
        format!("read>{ours}"),
        format!("read>{data}?ids={ours}"),
        format!("read>{by_name}"),
        format!("read>{data}?name=hall"),
        format!("read>{by_name}"),
        format!("read>{other}"),
        format!("read>{data}"),
        format!("read>{data}?ids={ours},{other}"),
        format!("read>{data}?name=other"),
        format!("replace>{other}"),
        "name>other".to_owned(),
        format!("replace>{ours}"),
    ];
    let came = reach(&scene, &node, &inputs, &wishes).await;
    let denied = "read &Denied&the task does not name the input";
    check(
        &node,
        &came,
        &[
            "read ok 1000",
            "read ok 1000",
            denied,
            "read ok 1000",
            "read ok 1000",
            denied,
            denied,
            denied,
            denied,
            "replace &Denied",
            "name &Denied&may not be replaced",
            "replace ok",
        ],
    );
    assert_eq!(content(&scene, other).await, [7; 1000], "untouched");
    assert_eq!(content(&scene, ours).await, b"overwritten");
    let asked = scene.requests(Endpoint::DownloadData);
    assert!(!asked.iter().any(|request| request.query.contains(&other.to_string())), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_open_the_whole_domain_to_a_runner() {
    let scene = scene("inputs = \"domain\"\nreplace = \"domain\"\n").await;
    let (first, second) = (put(&scene, "first").await, put(&scene, "second").await);
    let node = scene.node();
    let wishes = [format!("read>{first}"), format!("replace>{first}"), "name>second".to_owned()];
    let came = reach(&scene, &node, &[], &wishes).await;
    check(&node, &came, &["read ok 1000", "replace ok", "name ok"]);
    for id in [first, second] {
        assert_eq!(content(&scene, id).await, b"overwritten");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_may_read_the_whole_domain_replaces_only_what_its_task_names() {
    let scene = scene("inputs = \"domain\"\n").await;
    let (ours, other) = (put(&scene, "ours").await, put(&scene, "other").await);
    let node = scene.node();
    let all = format!("/api/v1/domains/{}/data", scene.devnet.domain_id());
    let wishes = [
        format!("read>{other}"),
        format!("read>{all}?name=other"),
        format!("replace>{other}"),
        "name>other".to_owned(),
        format!("read>{ours}"),
        format!("replace>{ours}"),
    ];
    let came = reach(&scene, &node, &[ours.to_string()], &wishes).await;
    let denied = ["replace &Denied", "name &Denied&may not be replaced"];
    check(
        &node,
        &came,
        &["read ok 1000", "read ok 1000", denied[0], denied[1], "read ok 1000", "replace ok"],
    );
    assert_eq!(content(&scene, other).await, [7; 1000], "untouched");
    assert_eq!(content(&scene, ours).await, b"overwritten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_bytes_of_inputs_end_by_their_limits() {
    let scene = scene("[limits]\ninput_requests = 30\n").await;
    let ours = put(&scene, "ours").await;
    let mut node = scene.node();
    let came = reach(&scene, &node, &[ours.to_string()], &[format!("flood>{ours}")]).await;
    check(&node, &came, &["flood ended at 31", "flood &Limit&`input_requests` of 30"]);
    let asked = scene.requests(Endpoint::DownloadData);
    assert_eq!(asked.len(), 30, "no request beyond the limit");
    assert_eq!(node.terminate().await, 0);

    std::fs::write(scene.plugins().join("reach.toml"), "[limits]\ninput_bytes = 2500\n").expect("a policy");
    let node = scene.node();
    for how in ["flood", "read"] {
        let came = reach(&scene, &node, &[ours.to_string()], &[format!("{how}>{ours}")]).await;
        let wanted: &[&str] = if how == "flood" {
            &["flood ended at 3", "flood &Limit&`input_bytes` of 2500"]
        } else {
            &["read ok 1000"]
        };
        check(&node, &came, wanted);
    }
    let skips: Vec<String> = (0..3).map(|_| format!("skip>{ours}")).collect();
    let came = reach(&scene, &node, &[ours.to_string()], &skips).await;
    check(&node, &came, &["skip ok", "skip ok", "skip &Limit&`input_bytes` of 2500"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_with_secrets_are_granted_to_nobody() {
    let scene = Scene::new().await;
    let link = scene.work().join("link");
    std::os::unix::fs::symlink("/proc/self", &link).expect("a link");
    let secrets = tempfile::tempdir().expect("a folder");
    std::fs::write(secrets.path().join("ca.pem"), "").expect("a file");
    let scene = scene.set("SOME_KEY_FILE", secrets.path().join("ca.pem").display());
    let work = scene.variables["WORK_DIR"].clone();
    std::fs::create_dir_all(format!("{work}/inner")).expect("a folder");
    let folders = [
        "/proc".to_owned(),
        "/".to_owned(),
        "/proc/self/root".to_owned(),
        "/sys/kernel".to_owned(),
        "/dev".to_owned(),
        link.display().to_string(),
        scene.plugins().display().to_string(),
        work.clone(),
        format!("{work}/../"),
        format!("{work}/inner"),
        secrets.path().display().to_string(),
    ];
    for (n, folder) in folders.iter().enumerate() {
        let name = format!("data-{n}");
        std::fs::copy(DATA.path(), scene.plugins().join(format!("{name}.wasm"))).expect("the guest");
        let policy = format!("[directories]\nmodels = {folder:?}\n");
        std::fs::write(scene.plugins().join(format!("{name}.toml")), policy).expect("a policy");
    }
    let node = scene.node();
    for (n, folder) in folders.iter().enumerate() {
        let said = format!("data-{n}.toml: [directories] models: no runner may have the folder");
        node.wait_for_log(&said).await;
        assert!(
            !node.log().contains(&format!("runner live runner=\"data-{n}\"")),
            "{folder}: {}",
            node.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_folder_that_has_become_a_link_to_another_is_not_opened() {
    let scene = Scene::new().await;
    let models = scene.work().join("models");
    std::fs::create_dir(&models).expect("a folder");
    std::fs::copy(DATA.path(), scene.plugins().join("data.wasm")).expect("the guest");
    std::fs::write(scene.plugins().join("data.toml"), format!("[directories]\nmodels = {models:?}\n"))
        .expect("a policy");
    let node = scene.node();
    node.wait_for_live("data").await;
    std::fs::remove_dir(&models).expect("it is empty");
    std::os::unix::fs::symlink("/proc", &models).expect("a link");
    let task = json!({"label": "t", "stage": "t", "capability": "/posemesh/test/data/v1", "meta": Value::Null,
                      "max_attempts": 1});
    let job = scene.devnet.submit_job(json!({"label": "data", "tasks": [task]})).expect("a job");
    let state = scene.wait_for_end(job.tasks[0], &node).await;
    let reason = &state.failures[0].reason;
    assert!(
        reason.contains("no runner may have the folder") && reason.starts_with("node failed"),
        "{state:?}"
    );
}

/// Memory that a process has now, in KiB.
fn resident(node: &NodeProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    resident.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Each task reports 60,000 bytes; 256 of them are remembered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tasks_report_does_not_stay() {
    const ROUNDS: usize = 3;
    const TASKS: usize = 100;
    let scene = scene("").await.set("STATUS_ADDR", "127.0.0.1:0");
    let node = scene.node();
    let addr = node.status_addr().await;
    let client = http_client();
    let get = async |query: &str| -> (usize, Value) {
        let response = client.get(format!("http://{addr}/api/tasks{query}")).send().await.expect("an answer");
        let text = response.text().await.expect("a body");
        (text.len(), serde_json::from_str(&text).expect("JSON"))
    };
    let mut after_first = 0;
    for round in 0..ROUNDS {
        let task = json!({"label": "t", "stage": "t", "capability": "/posemesh/test/reach/v1",
                          "meta": [format!("report>{}", "x".repeat(60))]});
        let job =
            scene.devnet.submit_job(json!({"label": "many", "tasks": vec![task; TASKS]})).expect("a job");
        for task in job.tasks {
            scene.wait_for_end(task, &node).await;
        }
        if round == 0 {
            after_first = resident(&node);
        }
    }
    let (bytes, page) = get("").await;
    assert_eq!((page["tasks"].as_array().map(Vec::len), &page["total"]), (Some(50), &json!(256)));
    assert!(bytes < 100_000, "{bytes} bytes for a page");
    assert!(page["tasks"][1]["progress"]["too_large_to_keep"]["bytes"].as_u64() > Some(60_000), "{page}");
    let (bytes, all) = get("?limit=100000").await;
    assert_eq!((all["tasks"].as_array().map(Vec::len), &all["next"]), (Some(256), &Value::Null));
    assert!(bytes < 500_000, "{bytes} bytes for all");
    let (_, older) = get(&format!("?limit=2&before={}", page["next"])).await;
    assert!(older["tasks"][0]["number"].as_u64() < page["tasks"][49]["number"].as_u64(), "{older}");
    let wrong = client.get(format!("http://{addr}/api/tasks?limit=x")).send().await.expect("an answer");
    assert_eq!(wrong.status(), 400);
    // 200 more tasks with 12 MB of reports: what was seen here before was about a gigabyte.
    let grown = resident(&node).saturating_sub(after_first);
    eprintln!("{} tasks: {after_first} KiB after {TASKS}, {grown} more at the end", ROUNDS * TASKS);
    assert!(grown < 24 << 10, "{grown} KiB more");
}
