//! Guests that look for what they were not granted.

use posemesh_tests::guests::{DATA, ESCAPE, HTTP, LEFT_OVER, PROBE, SNOOP, WASI3};
use serde_json::{Value, json};

use crate::shared_node::Expect::{Completes, Fails};
use crate::shared_node::SharedNode;

const SECRET: &str = "the-secret-of-this-node";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn what_was_not_granted_is_not_there() {
    let data = tempfile::tempdir().expect("a folder");
    std::fs::write(data.path().join("model.bin"), "weights").expect("a model");
    std::os::unix::fs::symlink("/etc/passwd", data.path().join("link")).expect("a link");
    let policy = format!(
        "environment = [\"MODEL_NAME\"]\n[directories]\nmodels = {:?}\n",
        data.path().display().to_string()
    );
    let runners =
        [(ESCAPE, ""), (WASI3, ""), (SNOOP, ""), (PROBE, ""), (LEFT_OVER, ""), (DATA, policy.as_str())];
    let more = [("MODEL_NAME", "dragon"), ("HIDDEN", SECRET)];
    let mut shared = SharedNode::with_guests(&runners, &more).await;
    let places =
        [shared.work_dir(), data.path().to_owned(), shared.plugins.path().to_owned(), "/etc/passwd".into()];
    let places = json!(places.map(|path| path.display().to_string()));
    for (behaviour, guest, meta) in [
        ("path escapes in every path argument", ESCAPE, Value::Null),
        ("reading another task's directory", SNOOP, places),
        ("environment, arguments and network attempts", PROBE, Value::Null),
        ("what an earlier task left in memory or files", PROBE, Value::Null),
        ("memory that was never written", LEFT_OVER, Value::Null),
        ("memory that an earlier task has written", LEFT_OVER, Value::Null),
        ("a runner that uses WASI 0.3", WASI3, Value::Null),
        ("a granted directory is read only, and the other is not there", DATA, Value::Null),
    ] {
        shared.check(behaviour, guest.name, meta, Completes).await;
    }
    let log = shared.node.log();
    for message in ["directory secrets", "environment variable REG_SECRET"] {
        if !log.contains(message) {
            shared.note("what was asked and not granted", format!("{message:?} is not in the log"));
        }
    }
    for secret in [SECRET, shared.devnet.registration_secret()] {
        assert!(!log.contains(secret), "a secret is in the node's log");
    }
    shared.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_host_is_reached_only_when_it_is_granted_and_only_where_it_may_be() {
    // The guest calls the devnet, whose port is known only now: it is written into the host that the guest
    // requests, and into the policy.
    let plugins = tempfile::tempdir().expect("a folder");
    let mut shared = SharedNode::with_plugins(plugins, &[]).await;
    let port = shared.devnet.addr().port();
    let host = format!("localhost:{port:05}");
    let request = HTTP.bytes();
    let request = replace(request, b"localhost:65535", host.as_bytes());
    let url = json!(format!("http://localhost:{port}/nothing/here"));
    let again = url.clone();
    let metadata = json!("http://169.254.169.254/latest/meta-data/");

    let place = |policy: &str| {
        // The policy first: the runner is loaded with it.
        std::fs::write(shared.plugins.path().join("http.toml"), policy).expect("a policy");
        std::fs::write(shared.plugins.path().join("http.wasm"), &request).expect("the runner");
    };
    place("");
    shared.node.wait_for_log(&format!("asked for and not granted: network host {host}")).await;
    shared.wait_live(HTTP.name, 1).await;
    shared
        .check("a network attempt without a grant", HTTP.name, url.clone(), Fails(&["HttpRequestDenied"]))
        .await;

    let before = shared.devnet.requests().len();
    std::fs::write(shared.plugins.path().join("http.toml"), format!("network_hosts = [\"{host}\"]\n"))
        .expect("a policy");
    shared.wait_live(HTTP.name, 2).await;
    let prohibited = Fails(&["DestinationIpProhibited"]);
    shared.check("a granted name that leads to loopback", HTTP.name, url.clone(), prohibited).await;
    shared.check("the metadata service", HTTP.name, metadata, Fails(&["HttpRequestDenied"])).await;
    let asked =
        shared.devnet.requests().into_iter().skip(before).any(|request| request.path == "/nothing/here");
    assert!(!asked, "nothing was connected to");

    std::fs::write(
        shared.plugins.path().join("http.toml"),
        format!("private_network_hosts = [\"{host}\"]\n"),
    )
    .expect("a policy");
    shared.wait_live(HTTP.name, 3).await;
    shared.check("a host at a private address that was granted", HTTP.name, url, Completes).await;
    let asked =
        shared.devnet.requests().into_iter().skip(before).any(|request| request.path == "/nothing/here");
    assert!(asked, "the request arrived");

    let policy = format!("private_network_hosts = [\"{host}\"]\n[limits]\nhttp_requests = 0\n");
    std::fs::write(shared.plugins.path().join("http.toml"), policy).expect("a policy");
    shared.wait_live(HTTP.name, 4).await;
    let none = Fails(&["`http_requests` of 0"]);
    shared.check("a request more than the limit", HTTP.name, again, none).await;
    shared.close().await;
}

fn replace(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "in place");
    let at = bytes.windows(old.len()).position(|window| window == old).expect("the request");
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}
