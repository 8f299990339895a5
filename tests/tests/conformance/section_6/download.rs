//! 6.2 and 6.4: broken answers, and requests that are never sent.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault};

use crate::section_6::copying::{Copying, bytes};

/// Places in the answer: in the boundary, its line end, the headers, their end, the bytes, the end.
fn places(size: u64) -> Vec<u64> {
    let head = [0, 1, 5, 30, 60, 61, 62, 63, 64, 100, 150, 200, 250, 300, 310, 320, 330, 340, 350, 360];
    let body = [400, 500, size / 2, size - 1, size, size + 100, size + 250];
    head.into_iter().chain(body).collect()
}

#[tokio::test]
async fn s6_2_an_answer_that_is_cut_anywhere_is_taken_up_again() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    for place in places(3000) {
        let fault = Fault::truncate(place).on(Endpoint::DownloadData).nth(0);
        let copied = copying.copy(&input, fault).await;
        copied.assert_is(&input, &copying.node);
        assert_eq!(copied.count(Endpoint::DownloadData), 2, "cut at {place}");
        let fault = Fault::truncate_cleanly(place).on(Endpoint::DownloadData).nth(0);
        copying.copy(&input, fault).await.assert_is(&input, &copying.node);
    }
}

#[tokio::test]
async fn s6_2_an_answer_that_is_short_each_time_is_an_error_and_never_a_shorter_artifact() {
    let copying = Copying::new().await;
    // Whole by the rules of HTTP: what the server has is short.
    let fault = Fault::truncate_cleanly(2000).on(Endpoint::DownloadData);
    let copied = copying.copy(&bytes(3000), fault).await;
    copied.assert_failed(&["cut"], &copying.node);
    let asked = copied.count(Endpoint::DownloadData);
    assert!((5..10).contains(&asked), "a few resumes without progress: {asked}");
}

#[tokio::test]
async fn s6_2_a_connection_that_is_cut_more_often_than_five_times_is_taken_up_again() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    let copied = copying.copy(&input, Fault::truncate(2000).on(Endpoint::DownloadData).times(5)).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::DownloadData), 6);
}

#[tokio::test]
async fn s6_2_any_chunking_by_the_network_is_the_same() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    for chunk in [1, 2, 3, 7, 64, 1000] {
        let fault = Fault::drip(chunk, Duration::ZERO).on(Endpoint::DownloadData);
        copying.copy(&input, fault).await.assert_is(&input, &copying.node);
    }
    let slow = Fault::drip(100, Duration::from_millis(20)).on(Endpoint::DownloadData);
    let copied = copying.copy(&input, slow).await;
    copied.assert_is(&input, &copying.node);
    assert_eq!(copied.count(Endpoint::DownloadData), 1, "slow is no reason to ask again");
}

#[tokio::test]
async fn s6_2_a_connection_that_is_reset_is_tried_again() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    for fault in [Fault::drop_before(), Fault::drop_after()] {
        let copied = copying.copy(&input, fault.on(Endpoint::DownloadData).times(2)).await;
        copied.assert_is(&input, &copying.node);
        assert_eq!(copied.count(Endpoint::DownloadData), 3);
    }
}

#[tokio::test]
async fn s6_11_what_passes_is_tried_again_and_what_does_not_is_told() {
    let copying = Copying::new().await;
    let input = bytes(3000);
    for status in [429, 500, 502, 503, 504] {
        let fault = Fault::answer(status, "later").on(Endpoint::DownloadData).times(2);
        let copied = copying.copy(&input, fault).await;
        copied.assert_is(&input, &copying.node);
        assert_eq!(copied.count(Endpoint::DownloadData), 3, "{status}");
    }
    for status in [400, 403, 404] {
        let fault = Fault::answer(status, "no such thing").on(Endpoint::DownloadData);
        let copied = copying.copy(&input, fault).await;
        copied.assert_failed(&[&status.to_string()], &copying.node);
        assert_eq!(copied.count(Endpoint::DownloadData), 1, "{status}");
    }
}

#[tokio::test]
async fn s6_11_a_refused_token_makes_a_heartbeat_fetch_a_new_one() {
    let config = DevnetConfig { rotate_task_token_on_heartbeat: true, ..DevnetConfig::default() };
    let copying = Copying::with(config).await;
    let input = bytes(3000);
    let fault = Fault::answer(401, "expired").on(Endpoint::DownloadData).nth(0);
    let copied = copying.copy(&input, fault).await;
    copied.assert_is(&input, &copying.node);
    let downloads = copied.of(Endpoint::DownloadData);
    let [refused, taken] = downloads.as_slice() else { panic!("{downloads:?}") };
    assert_ne!(refused.bearer_hash, taken.bearer_hash, "the second has the rotated token");
    let between = copied
        .of(Endpoint::Heartbeat)
        .into_iter()
        .filter(|beat| beat.seq > refused.seq && beat.seq < taken.seq);
    assert_eq!(between.count(), 1, "one early heartbeat brought it");
}

#[tokio::test]
async fn s6_2_nonsense_is_an_error_that_says_so() {
    let copying = Copying::new().await;
    let copied = copying.copy(&bytes(3000), Fault::garbage(5000).on(Endpoint::DownloadData)).await;
    copied.assert_failed(&["boundary"], &copying.node);
}

#[tokio::test]
async fn s6_4_requests_go_to_the_domain_of_the_lease_only() {
    let copying = Copying::new().await;
    let devnet = &copying.scene.devnet;
    let id = devnet.put_data("there", "bin", bytes(100)).await.expect("an input");
    let other = devnet.add_domain();
    let base = devnet.domain_server_url();
    let elsewhere = [
        format!("http://127.0.0.1:9/api/v1/domains/{other}/data/{id}"),
        format!("{base}/api/v1/domains/{other}/data/{id}"),
        format!("{base}/internal/v1/{id}"),
        "file:///etc/passwd".to_owned(),
        "../../../etc/passwd".to_owned(),
    ];
    for cid in elsewhere {
        let copied = copying.copy_of(&cid, None).await;
        copied.assert_failed(&[], &copying.node);
        assert_eq!(copied.count(Endpoint::DownloadData), 0, "{cid}");
    }
    let path = format!("api/v1/domains/{}/data/{id}", devnet.domain_id());
    for cid in
        [devnet.data_url(id), format!("http://127.0.0.1:9/{path}"), format!("https://old.example/{path}")]
    {
        let mine = copying.copy_of(&cid, None).await;
        mine.assert_is(&bytes(100), &copying.node);
    }
    let told = copying.node.log().matches("a CID names another server").count();
    assert_eq!(told, 2, "once for each task whose CID names another host\n{}", copying.node.log());
    let gone = copying.copy_of(&uuid::Uuid::new_v4().to_string(), None).await;
    gone.assert_failed(&[], &copying.node);
}
