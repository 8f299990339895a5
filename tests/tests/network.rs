//! What surrounds a node's network: proxies, certificates, clients that hold connections, and a runner that is asked for
//! and not there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NodeProcess, Scene, http_client, node_binary};
use tokio::net::TcpStream;

use std::time::Duration;

/// Runs a command of the binary with these variables as its environment.
fn run(arguments: &[&str], variables: &BTreeMap<String, String>) -> Output {
    Command::new(node_binary()).args(arguments).env_clear().envs(variables).output().expect("it ran")
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn loopback_never_uses_a_proxy_and_config_check_says_which_server_does() {
    // Nobody listens at this port: a request that went there would fail.
    let proxy = "http://operator:hunter2@127.0.0.1:9";
    let mut scene = Scene::new().await;
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        scene = scene.set(name, proxy);
    }
    let node = scene.node();
    let ended = scene.wait_for_end(scene.submit_noop(Duration::from_millis(10)), &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert!(!node.log().contains("hunter2"), "{}", node.log());

    scene.variables.insert("DMS_BASE_URL".to_owned(), "https://dms.example/v1".to_owned());
    let checked = run(&["config", "check"], &scene.variables);
    let text = printed(&checked);
    assert!(checked.status.success(), "{text}");
    assert!(
        text.contains("DMS https://dms.example/v1: through the proxy http://[redacted]@127.0.0.1:9"),
        "{text}"
    );
    let dds = scene.variables["DDS_BASE_URL"].trim_end_matches('/');
    assert!(text.contains(&format!("DDS {dds}/: directly: it is this machine")), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_file_of_certificates_works_from_an_env_file_and_a_broken_one_is_a_problem() {
    let scene = Scene::new().await;
    let ca = posemesh_tests::root().join("host/net/tests/certificates/ca.pem");
    let env_file = scene.work().join("node.env");
    let check = |line: String| {
        std::fs::write(&env_file, line).expect("an env file");
        run(&["config", "check", "--env-file", env_file.to_str().expect("a path")], &scene.variables)
    };
    let checked = check(format!("SSL_CERT_FILE={}\n", ca.display()));
    assert!(checked.status.success(), "{}", printed(&checked));
    assert!(printed(&checked).contains("certificates of CAs: 1\n"), "{}", printed(&checked));
    for (path, reason) in
        [("/nowhere/ca.pem", "No such file"), (env_file.to_str().expect("a path"), "no certificate")]
    {
        let checked = check(format!("SSL_CERT_FILE={path}\n"));
        assert_eq!(checked.status.code(), Some(2), "{}", printed(&checked));
        let text = printed(&checked);
        assert!(text.contains(&format!("SSL_CERT_FILE={path}: {path}: ")) && text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn idle_connections_to_its_servers_leave_a_node_its_descriptors() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0").set("LEGACY_HTTP_ADDR", "127.0.0.1:0");
    let limited = format!("ulimit -n 256; exec {} run", node_binary().display());
    let node = NodeProcess::start(Path::new("/bin/sh"), &["-c", &limited], &scene.variables);
    let status = node.status_addr().await;
    let legacy = node.logged_addr("serving the legacy routes").await;
    scene.wait_for_work_wanted(&node).await;
    // More than the node has descriptors, and they say nothing.
    let mut held = Vec::new();
    for _ in 0..300 {
        for addr in [&status, &legacy] {
            held.push(TcpStream::connect(addr).await.expect("a connection"));
        }
    }
    for _ in 0..3 {
        let ended = scene.wait_for_end(scene.submit_noop(Duration::from_millis(10)), &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    }
    for addr in [&status, &legacy] {
        let answer = http_client().get(format!("http://{addr}/health")).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{addr}: {error}\n{}", node.log()));
        assert_eq!(answer.status(), 200);
    }
    drop(held);
}

#[tokio::test]
async fn a_noop_runner_that_is_enabled_and_not_there_is_told_with_the_cure() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    std::fs::remove_file(scene.plugins().join("noop.wasm")).expect("the noop runner");
    let text = printed(&run(&["config", "check"], &scene.variables));
    let cure = "put noop.wasm";
    assert!(text.contains("ENABLE_NOOP=true") && text.contains(cure), "{text}");
    let node = scene.node();
    node.wait_for_log(cure).await;
    let url = format!("http://{}/ready", node.status_addr().await);
    let answer = http_client().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 503);
    let body = answer.text().await.expect("a body");
    assert!(body.contains(cure), "{body}");
    assert!(
        !printed(&run(&["config", "check"], &scene.set("ENABLE_NOOP", "false").variables)).contains(cure)
    );
}
