//! A server that is away, or accepts a request and then does nothing: the task waits for it until its deadline, and fails
//! by the server's fault.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault};
use posemesh_tests::Scene;
use posemesh_tests::guests::COPY;
use serde_json::json;

use crate::section_6::copying::{Copied, Copying, bytes};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A node that waits so long for a server without progress, and runs a task for at most so long.
async fn waiting(without_progress: Duration, deadline: Duration) -> Copying {
    let config = DevnetConfig { request_max_bytes: 64 << 10, part_size: 32 << 10, ..DevnetConfig::default() };
    let scene = Scene::with(config).await.serving(COPY);
    let seconds = without_progress.as_secs();
    let scene =
        scene.set("STORAGE_IDLE_TIMEOUT_SECS", seconds).set("STORAGE_FIRST_BYTE_TIMEOUT_SECS", seconds);
    let policy = format!("[limits]\ndeadline_ms = {}\n", deadline.as_millis());
    std::fs::write(scene.plugins().join("copy.toml"), policy).expect("a policy");
    Copying::on(scene).await
}

/// Time for a few tries; without a deadline the node would try for as long as the lease lives.
async fn impatient() -> Copying {
    waiting(Duration::from_secs(1), Duration::from_secs(5)).await
}

/// Asserts that a task reached its deadline and that the server is blamed for it.
fn assert_waited(copied: &Copied, phase: &str, copying: &Copying) {
    copied.assert_failed(
        &["deadline_ms", "waiting for its domain server", "no progress for 1s", phase],
        &copying.node,
    );
    let details = &copied.fail().details;
    assert_eq!(details.pointer("/failure/blame"), Some(&json!("server")), "{details}");
}

#[tokio::test]
async fn s6_a_download_that_stalls_until_the_deadline_is_blamed_on_the_server() {
    let copying = impatient().await;
    // No answer; or a head without a body.
    for (fault, phase) in [
        (Fault::delay_before(FOR_EVER), "waiting for the answer"),
        (Fault::drip(1000, FOR_EVER), "reading the answer"),
    ] {
        let copied = copying.copy(&bytes(3000), fault.on(Endpoint::DownloadData)).await;
        assert_waited(&copied, phase, &copying);
        assert!(copied.count(Endpoint::DownloadData) > 1, "it is tried again");
    }
}

#[tokio::test]
async fn s6_a_download_that_stalls_once_is_taken_up_again() {
    // On a busy machine what comes within three seconds is no second stall.
    let copying = waiting(Duration::from_secs(3), Duration::from_secs(30)).await;
    let input = bytes(3000);
    let stalls = Fault::drip(1000, FOR_EVER).on(Endpoint::DownloadData).times(1);
    let copied = copying.copy(&input, stalls).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::DownloadData), 2);
}

#[tokio::test]
async fn s6_an_upload_that_stalls_until_the_deadline_is_blamed_on_the_server() {
    let copying = impatient().await;
    for (endpoint, size) in [(Endpoint::CreateData, 3000), (Endpoint::MultipartPart, 200 << 10)] {
        let copied = copying.copy(&bytes(size), Fault::delay_before(FOR_EVER).on(endpoint)).await;
        assert_waited(&copied, "waiting for the answer", &copying);
    }
}

#[tokio::test]
async fn s6_a_domain_server_that_is_away_for_seconds_fails_no_task() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    // More failures in a row than five, on the way in and on the way out.
    for fault in [Fault::drop_before(), Fault::answer(503, "restarting")] {
        let out = copying.scene.devnet.faults().add(fault.clone().on(Endpoint::CreateData).times(5));
        let copied = copying.copy(&input, fault.on(Endpoint::DownloadData).times(5)).await;
        copying.scene.devnet.faults().remove(out);
        copied.assert_is(&input, &copying.node);
        assert_eq!((copied.count(Endpoint::DownloadData), copied.count(Endpoint::CreateData)), (6, 6));
    }
    copying.node.wait_for_log("a domain server that failed answers again").await;
}
