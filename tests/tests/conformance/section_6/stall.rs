//! A server that accepts a request and then does nothing: the task fails with a reason, and its lease ends.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault};
use posemesh_tests::Scene;
use posemesh_tests::guests::COPY;

use crate::section_6::copying::{Copying, bytes};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(3600);

async fn impatient() -> Copying {
    let config = DevnetConfig { request_max_bytes: 64 << 10, part_size: 32 << 10, ..DevnetConfig::default() };
    let scene = Scene::with(config).await.serving(COPY);
    let scene = scene.set("STORAGE_IDLE_TIMEOUT_SECS", 1).set("STORAGE_FIRST_BYTE_TIMEOUT_SECS", 1);
    Copying::on(scene).await
}

#[tokio::test]
async fn s6_a_download_that_stalls_ends_with_a_reason() {
    let copying = impatient().await;
    // No answer; or a head without a body.
    for (fault, phase) in [
        (Fault::delay_before(FOR_EVER), "waiting for the answer"),
        (Fault::drip(1000, FOR_EVER), "reading the answer"),
    ] {
        let copied = copying.copy(&bytes(3000), fault.on(Endpoint::DownloadData)).await;
        copied.assert_failed(&["no progress for 1s", phase], &copying.node);
    }
}

#[tokio::test]
async fn s6_a_download_that_stalls_once_is_taken_up_again() {
    let copying = impatient().await;
    let input = bytes(3000);
    let stalls = Fault::drip(1000, FOR_EVER).on(Endpoint::DownloadData).times(1);
    let copied = copying.copy(&input, stalls).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::DownloadData), 2);
}

#[tokio::test]
async fn s6_an_upload_that_stalls_ends_with_a_reason() {
    let copying = impatient().await;
    for (endpoint, size) in [(Endpoint::CreateData, 3000), (Endpoint::MultipartPart, 200 << 10)] {
        let copied = copying.copy(&bytes(size), Fault::delay_before(FOR_EVER).on(endpoint)).await;
        copied.assert_failed(&["no progress for 1s"], &copying.node);
    }
}
