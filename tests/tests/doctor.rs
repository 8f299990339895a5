//! `posemesh-node doctor` on set-ups that are broken in one way each. What it says of each is in `tests/golden/doctor`;
//! `UPDATE_GOLDEN=1` writes these files anew.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use posemesh_devnet::{Devnet, DevnetConfig};
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client, node_binary, root};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// What depends on the machine that the test runs on.
const OF_MACHINE: [&str; 2] = ["machine", "sandbox"];

async fn doctor(scene: &Scene, shell: Option<&str>) -> Output {
    let mut command = match shell {
        // With the limits that the script sets.
        Some(script) => {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("{script}; exec \"$0\" doctor --json")]).arg(node_binary());
            command
        }
        None => {
            let mut command = Command::new(node_binary());
            command.args(["doctor", "--json"]);
            command
        }
    };
    command.env_clear().envs(&scene.variables).current_dir(scene.work());
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("an output")
}

/// What is not in order, as `doctor --quiet` prints it, in words that are the same on every machine.
fn told(scene: &Scene, output: &Output, areas: &[&str]) -> String {
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = answer["findings"].as_array().expect("findings");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = String::new();
    let mut last = String::new();
    let (mut errors, mut warnings) = (0, 0);
    for finding in findings.iter().filter(|finding| finding["level"] != "ok") {
        let area = text(&finding["area"]);
        if OF_MACHINE.contains(&area.as_str()) && !areas.contains(&area.as_str()) {
            continue;
        }
        // How many threads can be started differs between machines.
        if area == "machine" && text(&finding["text"]).contains("threads") {
            continue;
        }
        if area != last {
            let servers = ["dds", "dms"].contains(&area.as_str());
            all += &format!("{}\n", if servers { area.to_uppercase() } else { area.clone() });
        }
        last = area;
        let level = text(&finding["level"]);
        *(if level == "error" { &mut errors } else { &mut warnings }) += 1;
        all += &format!("  {level:<8} {}\n", text(&finding["text"]));
        if finding["cure"].is_string() {
            all += &format!("           {}\n", text(&finding["cure"]));
        }
    }
    all += &format!("\n{errors} errors, {warnings} warnings\n");
    all += &format!("exit code {}\n", output.status.code().unwrap_or(-1));
    normalised(scene, all)
}

fn normalised(scene: &Scene, mut text: String) -> String {
    let port = scene.devnet.addr().port().to_string();
    for (from, to) in [
        (scene.plugins().display().to_string(), "$PLUGINS"),
        (scene.work().display().to_string(), "$WORK"),
        (format!(":{port}"), ":$PORT"),
    ] {
        text = text.replace(&from, to);
    }
    text
}

/// With each number of the line replaced that contains this.
fn without_numbers(text: &str, of: &str) -> String {
    let of_line = |line: &str| {
        let mut out = String::new();
        for c in line.chars() {
            match c.is_ascii_digit() {
                true if out.ends_with('N') => {}
                true => out.push('N'),
                false => out.push(c),
            }
        }
        out
    };
    text.lines().map(|line| if line.contains(of) { of_line(line) } else { line.to_owned() } + "\n").collect()
}

fn assert_golden(name: &str, told: &str) {
    let path = root().join("tests/golden/doctor").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, told).expect("written");
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == told, "{} says\n{golden}\nand doctor said\n{told}", path.display());
}

/// Breaks a scene by its variables, and compares what is said of it.
async fn assert_told(name: &str, variables: &[(&str, &str)]) {
    let mut scene = Scene::new().await;
    for (variable, value) in variables {
        scene = scene.set(variable, value);
    }
    let output = doctor(&scene, None).await;
    assert_golden(name, &told(&scene, &output, &[]));
}

#[tokio::test]
async fn a_set_up_that_works_is_told_apart_from_one_that_was_never_started() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let output = doctor(&scene, None).await;
    assert_golden("never_started", &told(&scene, &output, &[]));
    let mut scene = scene;
    let mut node = scene.node();
    let addr = node.status_addr().await;
    is_ready(&addr, &node).await;
    scene.variables.insert("STATUS_ADDR".to_owned(), addr);
    let output = doctor(&scene, None).await;
    assert_golden("runs", &told(&scene, &output, &[]));
    let said = String::from_utf8_lossy(&output.stdout);
    for part in [
        "the node runs: process ",
        "DMS takes the token",
        "noop 0.1.0: serves",
        "takes REG_SECRET is seen at a registration only",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    for secret in [&scene.variables["REG_SECRET"], &scene.variables["SECP256K1_PRIVHEX"]] {
        assert!(!said.contains(secret.as_str()), "{said}");
    }
    assert_eq!(node.terminate().await, 0);
    // Whatever stands there answers 404 to any path, as a job server does to a task that nobody has.
    let url = format!("{}/elsewhere", scene.devnet.dms_url());
    let scene = scene.set("STATUS_ADDR", "off").set("DMS_BASE_URL", url);
    let output = doctor(&scene, None).await;
    assert_golden("dms_path_wrong", &told(&scene, &output, &[]));
    // Another network's job server takes no token of this one's.
    let other = Devnet::start(DevnetConfig::default()).await.expect("a devnet");
    let scene = scene.set("DMS_BASE_URL", other.dms_url()).set("STATUS_ADDR", "off");
    let output = doctor(&scene, None).await;
    assert_golden("dms_of_another_network", &told(&scene, &output, &[]));
    other.shutdown().await;
}

/// Waits until a node says that it is ready: what it misses as it starts would be told.
async fn is_ready(addr: &str, node: &NodeProcess) {
    let deadline = Instant::now() + TIMEOUT;
    let asked = || http_client().get(format!("http://{addr}/ready")).send();
    while !asked().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(Instant::now() < deadline, "it is never ready: {}", node.log());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_only_the_node_that_runs_can_know_is_asked_of_it() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let scene = scene.set("REG_SECRET", "bm9ib2R5Om5vYm9keQ==");
    let node = scene.node();
    let addr = node.status_addr().await;
    node.wait_for_log("registering failed").await;
    let scene = scene.set("STATUS_ADDR", &addr);
    let output = doctor(&scene, None).await;
    let said = told(&scene, &output, &[]);
    assert!(
        said.contains("the node that runs is not ready: it is not registered with DDS")
            && said.contains("401"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_node_without_an_address_is_asked_by_its_control_socket() {
    let scene = Scene::new().await.set("STATUS_ADDR", "off").set("REG_SECRET", "bm9ib2R5Om5vYm9keQ==");
    let node = scene.node();
    node.wait_for_log("registering failed").await;
    let output = doctor(&scene, None).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("the node runs: process {}", node.id())), "{said}");
    assert!(said.contains("the node that runs is not ready: it is not registered with DDS"), "{said}");
    // One with other runners is another node.
    let other = tempfile::tempdir().expect("a folder");
    let scene = scene.set("PLUGINS_DIR", other.path().display());
    let said = String::from_utf8_lossy(&doctor(&scene, None).await.stdout).into_owned();
    assert!(!said.contains("the node runs"), "{said}");
}

#[tokio::test]
async fn free_space_is_told_of_every_place_and_the_clock_of_both_servers() {
    let scene = Scene::new().await;
    let (data, work) = (scene.work().join("data"), scene.work().to_owned());
    let scene = scene
        .set("DATA_DIR", data.display())
        .set("AUDIT_LOG", work.join("audit.jsonl").display())
        .set("LOG_FILE", work.join("node.log").display());
    let output = doctor(&scene, None).await;
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let texts: Vec<&str> = answer["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|one| one["text"].as_str())
        .collect();
    for variable in ["WORK_DIR", "CACHE_DIR", "DATA_DIR", "AUDIT_LOG", "LOG_FILE", "PLUGINS_DIR"] {
        let is_told = |text: &&str| text.starts_with(&format!("{variable}=")) && text.ends_with("are free");
        assert!(texts.iter().any(is_told), "{variable}: {texts:#?}");
    }
    for server in ["DDS", "DMS"] {
        let is_told = |text: &&str| text.starts_with("this machine's clock is") && text.contains(server);
        assert!(texts.iter().any(is_told), "{server}: {texts:#?}");
    }
}

#[tokio::test]
async fn nothing_is_set() {
    let mut scene = Scene::new().await;
    scene.variables.clear();
    scene.variables.insert("MAX_CONCURENCY".to_owned(), "4".to_owned());
    let output = doctor(&scene, None).await;
    assert_golden("nothing_is_set", &told(&scene, &output, &[]));
}

#[tokio::test]
async fn there_is_no_folder_of_runners() {
    assert_told("no_plugins_dir", &[("PLUGINS_DIR", "/nowhere")]).await;
}

#[tokio::test]
async fn the_folder_of_work_is_a_device_and_that_of_the_cache_below_a_file() {
    let folders = [("WORK_DIR", "/dev/null"), ("CACHE_DIR", "/etc/passwd/cache")];
    assert_told("work_dir_is_a_device", &folders).await;
}

#[tokio::test]
async fn the_logs_have_no_folder() {
    let files = [("AUDIT_LOG", "/nowhere/audit.log"), ("LOG_FILE", "/dev/full")];
    assert_told("logs_without_a_folder", &files).await;
}

#[tokio::test]
async fn the_address_is_another_machines() {
    assert_told("address_of_another_machine", &[("STATUS_ADDR", "192.0.2.1:8090")]).await;
}

#[tokio::test]
async fn the_address_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("one").to_string();
    let scene = Scene::new().await.set("STATUS_ADDR", &addr);
    let output = doctor(&scene, None).await;
    assert_golden("address_taken", &told(&scene, &output, &[]).replace(&addr, "127.0.0.1:TAKEN"));
}

#[tokio::test]
async fn the_name_of_dds_does_not_exist() {
    let scene = Scene::new().await.set("DDS_BASE_URL", "https://dds.invalid");
    let output = doctor(&scene, None).await;
    // The system's words differ.
    let told = told(&scene, &output, &[]);
    let line = told.lines().find(|line| line.contains("dds.invalid")).expect("a line");
    assert!(line.contains("resolved"), "{told}");
    let same = "  error    DDS: the name dds.invalid could not be resolved";
    assert_golden("dds_name_unknown", &told.replace(line, same));
}

#[tokio::test]
async fn dds_takes_no_connection() {
    assert_told("dds_down", &[("DDS_BASE_URL", "http://127.0.0.1:1")]).await;
}

#[tokio::test]
async fn the_proxy_takes_no_connection() {
    let variables =
        [("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:1"), ("DMS_BASE_URL", "https://dms.example/v1")];
    assert_told("proxy_down", &variables).await;
}

#[tokio::test]
async fn dds_speaks_no_tls() {
    let scene = Scene::new().await;
    let url = scene.devnet.dds_url().replace("http://", "https://");
    let scene = scene.set("DDS_BASE_URL", url);
    let output = doctor(&scene, None).await;
    assert_golden("dds_without_tls", &told(&scene, &output, &[]));
}

#[tokio::test]
async fn another_server_is_taken_for_dds() {
    let scene = Scene::new().await;
    let url = format!("{}/elsewhere", scene.devnet.dds_url());
    let scene = scene.set("DDS_BASE_URL", url);
    let output = doctor(&scene, None).await;
    assert_golden("not_a_dds", &told(&scene, &output, &[]));
}

#[tokio::test]
async fn dds_has_another_name_for_itself() {
    let scene = Scene::new().await;
    let url = scene.devnet.dds_url().replace("127.0.0.1", "localhost");
    let scene = scene.set("DDS_BASE_URL", url);
    let output = doctor(&scene, None).await;
    assert_golden("dds_by_another_name", &told(&scene, &output, &[]));
}

#[tokio::test]
async fn the_clock_is_two_hours_off() {
    let config = DevnetConfig { clock_offset_ms: 7_200_000, ..DevnetConfig::default() };
    let scene = Scene::with(config).await;
    let output = doctor(&scene, None).await;
    let told = told(&scene, &output, &[]);
    assert_golden("clock_off", &without_numbers(&told, "clock is"));
}

#[tokio::test]
async fn runners_and_their_policies_are_broken() {
    let scene = Scene::new().await;
    fs::write(scene.plugins().join("broken.wasm"), "no component").expect("written");
    fs::write(scene.plugins().join("noop.toml"), "memory = \"lots\"\n").expect("written");
    let output = doctor(&scene, None).await;
    assert_golden("broken_runners", &told(&scene, &output, &[]));
}

#[tokio::test]
async fn there_is_no_runner() {
    let scene = Scene::new().await;
    fs::remove_file(scene.plugins().join("noop.wasm")).expect("removed");
    let output = doctor(&scene, None).await;
    assert_golden("no_runner", &told(&scene, &output, &[]));
}

#[tokio::test]
async fn everybody_reads_the_key_and_may_write_runners() {
    let mut scene = Scene::new().await;
    let key = scene.variables.remove("SECP256K1_PRIVHEX").expect("a key");
    let path = scene.work().join("key");
    fs::write(&path, key).expect("written");
    open(&path, 0o644);
    open(&scene.plugins(), 0o777);
    let scene = scene.set("SECP256K1_PRIVHEX_FILE", path.display());
    let output = doctor(&scene, None).await;
    assert_golden("open_to_everybody", &told(&scene, &output, &[]));
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[tokio::test]
async fn the_machine_is_too_small() {
    let scene = Scene::new().await.set("MAX_CONCURRENCY", 64).set("MEMORY_BUDGET", "4TiB");
    let output = doctor(&scene, Some("ulimit -n 300")).await;
    let told = told(&scene, &output, &["machine"]);
    assert_golden("machine_too_small", &without_numbers(&told, "MEMORY_BUDGET is"));
}

#[tokio::test(flavor = "multi_thread")]
async fn for_people_it_prints_as_it_goes_and_leaves_out_what_is_in_order() {
    let scene = Scene::new().await.set("WORK_DIR", "/dev/null");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(node_binary());
        command.arg("doctor").args(arguments).env_clear().envs(&scene.variables).current_dir(scene.work());
        let output = command.output().expect("an output");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    let (whole, quiet) = tokio::task::block_in_place(|| (run(&[]), run(&["--quiet"])));
    // The golden files are made of what is for programs, and have the form of what is for people.
    let told = told(&scene, &doctor(&scene, None).await, &[]);
    let shown = normalised(&scene, quiet.0.clone());
    let (findings, _) = told.split_once("\n\n").expect("findings, and their number");
    for line in findings.lines() {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is not in {shown}");
    }
    assert_eq!((whole.1, quiet.1), (Some(1), Some(1)));
    for part in [
        "settings\n  ok       ",
        "  error    WORK_DIR=/dev/null: it is a device, not a folder\n           name a folder",
        "\n1 errors, ",
    ] {
        assert!(whole.0.contains(part), "{part:?} is not in {}", whole.0);
    }
    assert!(!quiet.0.contains("  ok  ") && quiet.0.contains("WORK_DIR=/dev/null"), "{}", quiet.0);
}
