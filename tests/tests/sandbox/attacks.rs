//! A process that was taken over reaches nothing but what its task was given.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use posemesh_runner_api::failure::Blame;
use serde_json::json;

use crate::beside_others;
use crate::taken_over::TakenOver;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_over_reaches_nothing() {
    let _shared = beside_others().await;
    let outside = tempfile::tempdir().expect("a folder");
    let (secret, socket) = (outside.path().join("secret"), outside.path().join("socket"));
    std::fs::write(&secret, "the key").expect("a secret");
    let _unix = UnixListener::bind(&socket).expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let granted = outside.path().join("granted");
    std::fs::create_dir(&granted).expect("a folder");
    let policy = format!(
        "[directories]\ngranted = {:?}\n[limits]\nmemory_bytes = 16777216\n",
        granted.display().to_string()
    );
    let attacker = TakenOver::load(&policy).await;
    if !attacker.missing.is_empty() {
        eprintln!("this kernel lacks what is tested here: {}", attacker.missing.join("; "));
        return;
    }
    let port = tcp.local_addr().expect("an address").port();
    let meta = json!({"attack": "everything", "secret": secret, "socket": socket, "port": port, "memory": 1_u64 << 30});
    let failure = attacker.run(meta).await.expect_err("it says what it found");
    assert_eq!(failure.reason, "tried", "{failure:?}");
    assert_eq!(failure.details["worked"], json!([]), "{:#}", failure.details);
    assert_eq!(failure.details["own_folder"], true, "it is a process that works: {:#}", failure.details);
    assert_eq!(failure.details["environment"], json!(["MALLOC_ARENA_MAX"]));
    // The channel twice, no output, its errors, and what was handed over.
    let (open, given) = (&failure.details["descriptors"], &failure.details["handed_over"]);
    let (open, given) = (open.as_u64().expect("a number"), given.as_u64().expect("a number"));
    assert!(open <= 4 + given, "{open} descriptors, {given} handed over");
    let threads = failure.details["threads"].as_u64().expect("a number");
    assert!(threads < u64::from(u32::MAX), "some are left to the node: {threads}");
    assert!(std::fs::read_dir(&granted).expect("a folder").next().is_none(), "it was granted to be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_blames_the_node_without_cause_is_not_believed_for_long() {
    let _shared = beside_others().await;
    let attacker = TakenOver::load("").await;
    let mut blamed = Vec::new();
    for _ in 0..5 {
        blamed.push(attacker.run(json!({"attack": "nothing"})).await.expect_err("it fails").blame);
    }
    assert_eq!(blamed[2..], [Blame::Runner, Blame::Runner, Blame::Runner], "{blamed:?}");
}
