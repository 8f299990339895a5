//! 6.6, 6.8 and 6.10: artifacts in one request.

use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskStatus};
use serde_json::json;

use crate::section_6::copying::{Copying, bytes};

#[tokio::test]
async fn s6_8_a_small_artifact_is_one_create() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    let copied = copying.copy(&input, None).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::CreateData), 1);
    assert_eq!(copied.count(Endpoint::MultipartInitiate), 0);
    let ids = copied.of(Endpoint::CreateData);
    assert!(ids[0].headers.iter().any(|(name, value)| name == "posemesh-client-id" && !value.is_empty()));
}

#[tokio::test]
async fn s6_8_what_passes_is_tried_again() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    for fault in [
        Fault::answer(500, "later"),
        Fault::answer(503, "later"),
        Fault::answer(429, "later"),
        Fault::drop_before(),
    ] {
        let copied = copying.copy(&input, fault.on(Endpoint::CreateData).times(2)).await;
        copied.assert_is(&input, &copying.node);
        assert_eq!(copied.count(Endpoint::CreateData), 3);
    }
}

#[tokio::test]
async fn s6_8_an_answer_that_is_lost_leads_to_an_update_of_what_was_stored() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    let copied = copying.copy(&input, Fault::drop_after().on(Endpoint::CreateData).nth(0)).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::UpdateData), 1, "the name is taken: by ourselves");
}

#[tokio::test]
async fn s6_8_a_refusal_is_told_and_not_repeated() {
    let copying = Copying::new().await;
    for status in [400, 403] {
        let fault = Fault::answer(status, "not this").on(Endpoint::CreateData);
        let copied = copying.copy(&bytes(3000), fault).await;
        copied.assert_failed(&[&status.to_string(), "not this"], &copying.node);
        assert_eq!(copied.count(Endpoint::CreateData), 1);
    }
}

#[tokio::test]
async fn s6_8_a_rotated_token_is_used_when_the_old_one_is_refused() {
    let config = DevnetConfig { rotate_task_token_on_heartbeat: true, ..DevnetConfig::default() };
    let copying = Copying::with(config).await;
    let input = bytes(3000);
    let copied = copying.copy(&input, Fault::answer(401, "expired").on(Endpoint::CreateData).nth(0)).await;
    copied.assert_is(&input, &copying.node);
    let creates = copied.of(Endpoint::CreateData);
    assert_eq!(creates.len(), 2);
    assert_ne!(creates[0].bearer_hash, creates[1].bearer_hash);
}

#[tokio::test]
async fn s6_8_413_without_a_told_limit_goes_in_parts() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    let copied = copying.copy(&input, Fault::answer(413, "too large").on(Endpoint::CreateData)).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!((copied.count(Endpoint::CreateData), copied.count(Endpoint::MultipartComplete)), (1, 1));
}

#[tokio::test]
async fn s6_8_a_size_that_the_server_says_otherwise_is_an_error() {
    let copying = Copying::new().await;
    let wrong = Fault::merge(json!({"data": [{"id": "7f2ad9a4-5a53-4c5f-a0b3-0d1a37b63d37", "size": 2999}]}));
    let copied = copying.copy(&bytes(3000), wrong.on(Endpoint::CreateData)).await;
    assert_eq!(copied.task.status, TaskStatus::Failed, "{}", copying.node.log());
    let reason = &copied.fail().reason;
    assert!(reason.contains("3000") && reason.contains("2999"), "{reason}");
}

#[tokio::test]
async fn s6_10_a_failed_lookup_is_no_obstacle() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    let copied = copying.copy(&input, Fault::answer(403, "no").on(Endpoint::ListData)).await;
    copied.assert_is(&input, &copying.node);
}

#[tokio::test]
async fn s6_8_an_empty_artifact_is_stored_empty_or_refused_in_words() {
    let copying = Copying::new().await;
    copying.copy(&[], None).await.assert_is(&[], &copying.node);
    let refused = Fault::answer(400, "no content").on(Endpoint::CreateData);
    let copied = copying.copy(&[], refused).await;
    copied
        .assert_failed(&["it is empty, which this domain server does not take", "no content"], &copying.node);
}

#[tokio::test]
async fn s6_8_a_name_that_is_taken_by_what_can_not_be_seen_is_told() {
    let copying = Copying::new().await;
    let fault = Fault::answer(409, "exists").on(Endpoint::CreateData).on(Endpoint::MultipartInitiate);
    copying.scene.devnet.faults().add(fault);
    for (size, endpoint) in [(3000, Endpoint::CreateData), (9 << 20, Endpoint::MultipartInitiate)] {
        let copied = copying.copy(&bytes(size), None).await;
        copied.assert_failed(&["409", "the name is taken"], &copying.node);
        assert_eq!(copied.count(endpoint), 1, "a conflict does not pass by itself");
        assert_eq!(copied.count(Endpoint::ListData), 2, "before, and after the conflict");
    }
}

#[tokio::test]
async fn s6_8_an_answer_that_is_cut_is_asked_for_again() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    for endpoint in [Endpoint::Info, Endpoint::ListData, Endpoint::CreateData] {
        let copied = copying.copy(&input, Fault::truncate(3).on(endpoint).nth(1)).await;
        copied.assert_is(&input, &copying.node);
    }
}
