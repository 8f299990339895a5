//! Runners that look for what they were not given.

use posemesh_tests::guest;
use serde_json::{Value, json};

use crate::pen::Expect::{Completes, Fails};
use crate::pen::Pen;

const SECRET: &str = "the-secret-of-this-node";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_granted_is_not_there() {
    let data = tempfile::tempdir().expect("a folder");
    std::fs::write(data.path().join("model.bin"), "weights").expect("a model");
    std::os::unix::fs::symlink("/etc/passwd", data.path().join("link")).expect("a link");
    let policy = format!(
        "environment = [\"MODEL_NAME\"]\n[directories]\nmodels = {:?}\n",
        data.path().display().to_string()
    );
    let runners = [
        ("escape", ""),
        ("wasi3", ""),
        ("snoop", ""),
        ("probe", ""),
        ("left_over", ""),
        ("data", policy.as_str()),
    ];
    let more = [("MODEL_NAME", "dragon"), ("HIDDEN", SECRET)];
    let mut pen = Pen::open(&runners, &more).await;
    let places =
        [pen.work_dir(), data.path().to_owned(), pen.plugins.path().to_owned(), "/etc/passwd".into()];
    let places = json!(places.map(|path| path.display().to_string()));
    for (behaviour, name, meta) in [
        ("path escapes in every path argument", "escape", Value::Null),
        ("reading another task's directory", "snoop", places),
        ("environment, arguments and network attempts", "probe", Value::Null),
        ("what an earlier task left in memory or files", "probe", Value::Null),
        ("memory that was never written", "left_over", Value::Null),
        ("memory that an earlier task has written", "left_over", Value::Null),
        ("a runner that uses WASI 0.3", "wasi3", Value::Null),
        ("a granted directory is read only, and the other is not there", "data", Value::Null),
    ] {
        pen.check(behaviour, name, meta, Completes).await;
    }
    let log = pen.node.log();
    for told in ["directory secrets", "environment variable REG_SECRET"] {
        if !log.contains(told) {
            pen.fault("what was asked and not granted", format!("{told:?} is not in the log"));
        }
    }
    for secret in [SECRET, pen.devnet.registration_secret()] {
        assert!(!log.contains(secret), "a secret is in the node's log");
    }
    pen.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_reached_only_when_it_is_granted_and_only_where_it_may_be() {
    // The devnet is the server that is asked. Its port is known when it runs: the runner's wish is made to
    // name it then, and the policy beside it.
    let plugins = tempfile::tempdir().expect("a folder");
    let mut pen = Pen::with_plugins(plugins, &[]).await;
    let port = pen.devnet.addr().port();
    let host = format!("localhost:{port:05}");
    let wish = std::fs::read(guest("http")).expect("the runner");
    let wish = replace(wish, b"localhost:65535", host.as_bytes());
    let url = json!(format!("http://localhost:{port}/nothing/here"));
    let metadata = json!("http://169.254.169.254/latest/meta-data/");

    let place = |policy: &str| {
        // The policy first: the runner is taken in with it.
        std::fs::write(pen.plugins.path().join("http.toml"), policy).expect("a policy");
        std::fs::write(pen.plugins.path().join("http.wasm"), &wish).expect("the runner");
    };
    place("");
    pen.node.wait_for_log(&format!("asked for and not granted: network host {host}")).await;
    pen.wait_live("http", 1).await;
    pen.check("a network attempt without a grant", "http", url.clone(), Fails(&["HttpRequestDenied"])).await;

    let before = pen.devnet.requests().len();
    std::fs::write(pen.plugins.path().join("http.toml"), format!("network_hosts = [\"{host}\"]\n"))
        .expect("a policy");
    pen.wait_live("http", 2).await;
    let prohibited = Fails(&["DestinationIpProhibited"]);
    pen.check("a granted name that leads to loopback", "http", url.clone(), prohibited).await;
    pen.check("the metadata service", "http", metadata, Fails(&["HttpRequestDenied"])).await;
    let asked = pen.devnet.requests().into_iter().skip(before).any(|request| request.path == "/nothing/here");
    assert!(!asked, "nothing was connected to");

    std::fs::write(pen.plugins.path().join("http.toml"), format!("private_network_hosts = [\"{host}\"]\n"))
        .expect("a policy");
    pen.wait_live("http", 3).await;
    pen.check("a host at a private address that was granted", "http", url, crate::pen::Expect::Completes)
        .await;
    let asked = pen.devnet.requests().into_iter().skip(before).any(|request| request.path == "/nothing/here");
    assert!(asked, "the request arrived");
    pen.close().await;
}

fn replace(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "in place");
    let at = bytes.windows(old.len()).position(|window| window == old).expect("the wish");
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}
