//! 6.6, 6.7 and 6.9: artifacts in parts.

use posemesh_devnet::{DevnetConfig, Endpoint, Fault, SessionRecord, SessionStatus, TaskStatus};
use serde_json::json;

use crate::section_6::copying::{Copying, bytes};

const KIB: u64 = 1 << 10;

/// A devnet that accepts at most 64 KiB in one request.
fn parts_of(part_size: u64) -> DevnetConfig {
    DevnetConfig { request_max_bytes: 64 * KIB, part_size, ..DevnetConfig::default() }
}

fn session(copying: &Copying) -> SessionRecord {
    copying.scene.devnet.multipart_sessions().pop().expect("a session")
}

#[tokio::test]
async fn s6_9_parts_have_the_size_that_was_told_and_their_numbers_from_one() {
    // 300 KiB in parts of 7 KiB: the last is shorter.
    let copying = Copying::with(parts_of(7 * KIB)).await;
    let input = bytes(300 * 1024);
    let copied = copying.copy(&input, None).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::CreateData), 0, "it can't fit");
    let session = session(&copying);
    let mut parts: Vec<(u32, u64)> = session.parts.iter().map(|part| (part.number, part.size)).collect();
    parts.sort_unstable();
    let wanted: Vec<(u32, u64)> =
        (1..=43).map(|number| (number, if number == 43 { 6 * KIB } else { 7 * KIB })).collect();
    assert_eq!(parts, wanted);
    assert!(matches!(session.status, SessionStatus::Completed(_)));
}

#[tokio::test]
async fn s6_9_tiny_and_large_parts_are_the_same_artifact() {
    for part_size in [1000, 64 * KIB, 16 << 20] {
        let copying = Copying::with(parts_of(part_size)).await;
        let input = bytes(200 * 1024);
        copying.copy(&input, None).await.assert_is(&input, &copying.node);
        let parts = session(&copying).parts.len() as u64;
        assert_eq!(parts, (200 * KIB).div_ceil(part_size), "{part_size}");
    }
}

#[tokio::test]
async fn s6_9_an_absurd_part_size_is_refused_and_the_session_given_up() {
    let copying = Copying::with(parts_of(64 * KIB)).await;
    for absurd in [json!(0), json!(-1), json!("many"), json!(1u64 << 40)] {
        let fault = Fault::merge(json!({"part_size": absurd})).on(Endpoint::MultipartInitiate);
        let copied = copying.copy(&bytes(200 * 1024), fault).await;
        copied.assert_failed(&["part"], &copying.node);
        copying
            .scene
            .wait_until("an aborted session", &copying.node, || {
                Some(()).filter(|()| matches!(session(&copying).status, SessionStatus::Aborted))
            })
            .await;
        assert_eq!(copied.count(Endpoint::MultipartPart), 0);
    }
}

#[tokio::test]
async fn s6_9_each_part_is_tried_again_on_its_own() {
    let copying = Copying::with(parts_of(32 * KIB)).await;
    let input = bytes(200 * 1024);
    for fault in
        [Fault::answer(500, "later"), Fault::answer(503, "later"), Fault::drop_before(), Fault::drop_after()]
    {
        let fault = fault.on(Endpoint::MultipartPart).skip(2).times(2);
        let copied = copying.copy(&input, fault).await;
        copied.assert_is(&input, &copying.node);
        let parts = copied.of(Endpoint::MultipartPart);
        assert_eq!(parts.len(), 7 + 2, "two were sent again: {parts:#?}");
        assert_eq!(copied.count(Endpoint::MultipartInitiate), 1);
    }
}

#[tokio::test]
async fn s6_9_a_token_that_is_refused_in_the_middle_is_replaced() {
    let config = DevnetConfig { rotate_task_token_on_heartbeat: true, ..parts_of(32 * KIB) };
    let copying = Copying::with(config).await;
    let input = bytes(200 * 1024);
    let fault = Fault::answer(401, "expired").on(Endpoint::MultipartPart).nth(3);
    let copied = copying.copy(&input, fault).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::MultipartInitiate), 1, "the same session goes on");
    let completes = copied.of(Endpoint::MultipartComplete);
    let parts = copied.of(Endpoint::MultipartPart);
    assert_ne!(parts[0].bearer_hash, completes[0].bearer_hash, "with the token of now");
}

#[tokio::test]
async fn s6_9_a_part_that_never_passes_ends_the_upload_and_gives_the_session_up() {
    let copying = Copying::with(parts_of(32 * KIB)).await;
    let fault = Fault::answer(400, "bad part").on(Endpoint::MultipartPart).skip(2);
    let copied = copying.copy(&bytes(200 * 1024), fault).await;
    copied.assert_failed(&["400", "bad part"], &copying.node);
    copying
        .scene
        .wait_until("an aborted session", &copying.node, || {
            Some(()).filter(|()| matches!(session(&copying).status, SessionStatus::Aborted))
        })
        .await;
}

#[tokio::test]
async fn s6_9_a_session_that_can_not_be_given_up_is_told_in_the_log() {
    let copying = Copying::with(parts_of(32 * KIB)).await;
    let stays = Fault::answer(403, "no").on(Endpoint::MultipartAbort);
    copying.scene.devnet.faults().add(stays);
    let fault = Fault::answer(400, "bad part").on(Endpoint::MultipartPart);
    copying.copy(&bytes(200 * 1024), fault).await.assert_failed(&["bad part"], &copying.node);
    copying.node.wait_for_log("an upload session stays at the domain server").await;
}

#[tokio::test]
async fn s6_6_a_server_without_sessions_gets_one_request_and_nothing_is_held_in_memory() {
    for status in [404, 405, 501] {
        let copying = Copying::with(DevnetConfig {
            multipart_enabled: false,
            multipart_disabled_status: status,
            ..DevnetConfig::default()
        })
        .await;
        // More than is kept in memory.
        let input = bytes(9 << 20);
        for fault in [None, Some(Fault::answer(503, "no info").on(Endpoint::Info))] {
            let copied = copying.copy(&input, fault).await;
            copied.assert_is(&input, &copying.node);
            assert_eq!((copied.count(Endpoint::CreateData), copied.count(Endpoint::MultipartPart)), (1, 0));
        }
    }
}

#[tokio::test]
async fn s6_6_what_fits_nowhere_is_refused_with_both_numbers() {
    let config = DevnetConfig { multipart_enabled: false, ..parts_of(64 * KIB) };
    let copying = Copying::with(config).await;
    let copied = copying.copy(&bytes(200 * 1024), None).await;
    copied.assert_failed(&["65536"], &copying.node);
    assert_eq!(copied.count(Endpoint::CreateData), 0, "what can't fit is not sent");
}

#[tokio::test]
async fn s6_9_a_lost_answer_to_complete_is_found_out_about() {
    let copying = Copying::with(parts_of(64 * KIB)).await;
    let input = bytes(200 * 1024);
    let fault = Fault::drop_after().on(Endpoint::MultipartComplete).nth(0);
    let copied = copying.copy(&input, fault).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::MultipartInitiate), 1);
}

#[tokio::test]
async fn s6_9_an_answer_that_is_cut_or_lost_is_asked_for_again_and_nonsense_is_told() {
    let copying = Copying::with(parts_of(64 * KIB)).await;
    let input = bytes(200 * 1024);
    for endpoint in [Endpoint::MultipartInitiate, Endpoint::MultipartPart, Endpoint::MultipartComplete] {
        for fault in [Fault::truncate(3), Fault::drop_after()] {
            let copied = copying.copy(&input, fault.on(endpoint).nth(1)).await;
            copied.assert_is(&input, &copying.node);
        }
        let copied = copying.copy(&input, Fault::garbage(100).on(endpoint)).await;
        assert_eq!(copied.task.status, TaskStatus::Failed, "{endpoint:?}\n{}", copying.node.log());
        assert!(copied.fail().reason.contains("is not understood"), "{}", copied.fail().reason);
    }
}
