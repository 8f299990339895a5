//! Section 1: DDS.

use std::time::Duration;

use posemesh_devnet::Endpoint::{Lease, RegisterWallet, SiweRequest, SiweVerify};
use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::{Scene, gaps, http_client};
use reqwest::header::RETRY_AFTER;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn s1_8_the_node_registers_logs_in_and_only_then_asks_for_work() {
    let scene = Scene::new().await;
    let mut node = scene.node();
    let poll = scene.wait_for_work_wanted(&node).await;
    let all = scene.devnet.requests();
    let order: Vec<_> = all.iter().take(5).filter_map(|request| request.endpoint).collect();
    assert_eq!(order, [SiweRequest, RegisterWallet, SiweRequest, SiweVerify, Lease], "{}", node.log());
    assert_eq!(poll.header("authorization"), None, "records hold no token");
    assert!(all.iter().take(4).all(|request| request.bearer_hash.is_none()), "DDS gets no bearer");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

/// Answers two registrations with this status; returns the times between the attempts.
async fn registers_in_spite_of(status: u16, interval_secs: u64) -> Vec<Duration> {
    let scene = Scene::new().await.set("REGISTER_INTERVAL_SECS", interval_secs);
    scene.devnet.faults().add(Fault::answer(status, "not now").on(Endpoint::RegisterWallet).times(2));
    let node = scene.node();
    let tries = scene.wait_for(Endpoint::RegisterWallet, 3, &node).await;
    scene.wait_for_work_wanted(&node).await;
    assert_eq!(scene.requests(Endpoint::RegisterWallet).len(), 3, "registered once: {}", node.log());
    gaps(&tries)
}

#[tokio::test]
async fn s1_4_conflicts_and_refusals_are_tried_again_after_the_interval() {
    for status in [409, 400, 401, 403, 404, 422] {
        for gap in registers_in_spite_of(status, 1).await {
            assert!(gap >= Duration::from_millis(950), "{status}: {gap:?}");
        }
    }
}

#[tokio::test]
async fn s1_4_and_s1_6_passing_troubles_are_tried_again_with_a_growing_wait() {
    for status in [408, 429, 500, 502, 503, 504] {
        let gaps = registers_in_spite_of(status, 300).await;
        // 2 s and 4 s with a jitter of a fifth; not the interval.
        assert!(
            gaps[0] >= Duration::from_millis(1500) && gaps[1] >= Duration::from_millis(3000),
            "{status}: {gaps:?}"
        );
        assert!(gaps[1] < Duration::from_secs(30), "{status}: {gaps:?}");
    }
}

#[tokio::test]
async fn s1_2_a_dds_behind_another_name_is_signed_for_by_its_own() {
    for set in [&["SIWE_DOMAIN", "SIWE_URI"][..], &["SIWE_URI"], &["SIWE_DOMAIN"], &[]] {
        let scene = Scene::new().await;
        let own = scene.devnet.dds_url();
        // The same server by another name: what it asks to sign names 127.0.0.1.
        let mut scene = scene.set("DDS_BASE_URL", own.replace("127.0.0.1", "localhost"));
        for name in set {
            let value = if *name == "SIWE_URI" { own.clone() } else { own.replace("http://", "") };
            scene = scene.set(name, value);
        }
        let node = scene.node();
        if set.is_empty() {
            node.wait_for_log("SIWE_DOMAIN and SIWE_URI are for a DDS that is reached by another name").await;
            assert!(scene.requests(RegisterWallet).is_empty(), "nothing was signed: {}", node.log());
        } else {
            scene.wait_for_work_wanted(&node).await;
            scene.assert_goes_on(node).await;
        }
    }
}

#[tokio::test]
async fn s1_4_retry_after_of_dds_is_kept_for_registration_and_login() {
    let scene = Scene::new().await;
    for endpoint in [RegisterWallet, SiweVerify] {
        scene.devnet.faults().add(Fault::answer(503, "not now").on(endpoint).times(1));
        let seconds = "4".parse().expect("a value");
        scene.devnet.faults().add(Fault::header(RETRY_AFTER, seconds).on(endpoint).times(1));
    }
    let node = scene.node();
    for endpoint in [RegisterWallet, SiweVerify] {
        let gap = gaps(&scene.wait_for(endpoint, 2, &node).await)[0];
        assert!(gap >= Duration::from_secs(4), "{endpoint:?}: {gap:?}");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s1_5_a_registered_node_asks_dds_nothing_more_until_its_token_is_due() {
    let scene = Scene::new().await;
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let asked = || {
        [Endpoint::SiweRequest, Endpoint::RegisterWallet, Endpoint::SiweVerify]
            .map(|e| scene.requests(e).len())
    };
    let before = asked();
    let polls = scene.requests(Endpoint::Lease).len();
    scene.wait_for(Endpoint::Lease, polls + 10, &node).await;
    assert_eq!(asked(), before, "{}", node.log());
}

#[tokio::test]
async fn s1_7_a_login_that_says_unknown_registers_again() {
    for status in [403, 404, 410] {
        let scene = Scene::new().await.set("REGISTER_INTERVAL_SECS", 1).set("TOKEN_REAUTH_JITTER_MS", 50);
        scene.devnet.faults().add(Fault::answer(status, "node not found").on(Endpoint::SiweVerify).times(1));
        let node = scene.node();
        scene.wait_for_work_wanted(&node).await;
        assert_eq!(scene.requests(Endpoint::RegisterWallet).len(), 2, "{status}: {}", node.log());
    }
}

#[tokio::test]
async fn s1_9_a_robot_registers_logs_in_works_and_registers_again_when_unknown() {
    let scene = Scene::new().await.robot().set("REGISTER_INTERVAL_SECS", 1);
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(200));
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert!(scene.requests(Endpoint::SiweRequest).is_empty(), "a robot signs nothing");
    let registered = scene.requests(Endpoint::RobotRegister).len();
    assert!(scene.devnet.forget_registration(scene.devnet.robot().robot_id));
    let again = || (scene.requests(Endpoint::RobotRegister).len() > registered).then_some(());
    scene.wait_until("another registration", &node, again).await;
    let ended = scene.wait_for_end(scene.submit_noop(Duration::ZERO), &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s1_10_the_legacy_routes_answer_as_the_table_says() {
    let scene = Scene::new().await.set("LEGACY_HTTP_ADDR", "127.0.0.1:0");
    let node = scene.node();
    let addr = node.logged_addr("serving the legacy routes").await;
    let client = http_client();
    let url = |path: &str| format!("http://{addr}{path}");
    let callback = async |content_type: &str, body: String| {
        let sent =
            client.post(url("/internal/v1/registrations")).header("content-type", content_type).body(body);
        let answer = sent.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let health = client.get(url("/health")).header("user-agent", "DDS v1").send().await.expect("an answer");
    assert_eq!((health.status().as_u16(), health.text().await.expect("a body")), (200, String::new()));
    const JSON: &str = "application/json";
    let secret = "a-secret-of-the-legacy-way";
    let ok = callback(JSON, format!(r#"{{"id": "n", "secret": "{secret}"}}"#)).await;
    assert_eq!(ok, (200, r#"{"ok":true}"#.to_owned()));
    let large = "x".repeat(4097);
    for (content_type, body, status, text) in [
        (JSON, r#"{"id": " ", "secret": "s"}"#.to_owned(), 422, "missing id"),
        (JSON, r#"{"id": "n", "secret": " "}"#.to_owned(), 422, "missing secret"),
        (JSON, format!(r#"{{"id": "n", "secret": "{large}"}}"#), 403, "secret too large"),
        (JSON, "{".to_owned(), 400, ""),
        (JSON, r#"{"id": 5, "secret": "s"}"#.to_owned(), 422, ""),
        ("text/plain", "{}".to_owned(), 415, ""),
    ] {
        let answer = callback(content_type, body).await;
        assert_eq!(answer.0, status, "{answer:?}");
        assert!(answer.1.contains(text), "{answer:?}");
    }
    // The answer may arrive before the body is sent, so no body is sent.
    let mut stream = TcpStream::connect(&addr).await.expect("a connection");
    let head = format!(
        "POST /internal/v1/registrations HTTP/1.1\r\nhost: {addr}\r\ncontent-type: {JSON}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        (2 << 20) + 1
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let status =
        async |request: reqwest::RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    assert_eq!(status(client.get(url("/internal/v1/registrations"))).await, 405);
    assert_eq!(status(client.get(url("/nothing"))).await, 404);
    assert!(!node.log().contains(secret), "the secret is in no log");
}

#[tokio::test]
async fn s1_2_the_nonce_call_is_classified_as_the_registration_is() {
    // After a conflict the node waits for the interval; after the others with a growing back-off.
    for (fault, least) in [
        (Fault::answer(409, "conflict"), 950),
        (Fault::answer(503, "not now"), 1500),
        (Fault::merge(json!({"nonce": null})), 1500),
        (Fault::garbage(100), 1500),
    ] {
        let scene = Scene::new().await.set("REGISTER_INTERVAL_SECS", 1);
        scene.devnet.faults().add(fault.on(Endpoint::SiweRequest).times(1));
        let node = scene.node();
        let tries = scene.wait_for(Endpoint::SiweRequest, 2, &node).await;
        assert!(gaps(&tries)[0] >= Duration::from_millis(least), "{:?}: {}", gaps(&tries), node.log());
        scene.wait_for_work_wanted(&node).await;
        assert_eq!(scene.requests(Endpoint::RegisterWallet).len(), 1, "{}", node.log());
    }
}

#[tokio::test]
async fn s1_2_what_dds_asks_to_sign_is_checked_before_it_is_signed() {
    for (patch, why) in [
        (json!({"domain": "evil.example"}), "domain"),
        (json!({"uri": "https://evil.example/login"}), "uri"),
        (json!({"nonce": "abc\nURI: https://evil.example"}), "nonce"),
        (json!({"issuedAt": "2001-01-01T00:00:00Z"}), "issued"),
    ] {
        let scene = Scene::new().await.set("REGISTER_INTERVAL_SECS", 1);
        scene.devnet.faults().add(Fault::merge(patch.clone()).on(Endpoint::SiweRequest).times(1));
        let node = scene.node();
        scene.wait_for(Endpoint::SiweRequest, 2, &node).await;
        assert!(node.log().to_lowercase().contains(why), "{patch}: {}", node.log());
        scene.wait_for_work_wanted(&node).await;
        assert_eq!(scene.requests(Endpoint::RegisterWallet).len(), 1, "nothing was signed for {patch}");
    }
}

#[tokio::test]
async fn s1_7_other_refused_logins_are_tried_again_and_do_not_register_again() {
    for fault in [
        Fault::answer(401, "invalid nonce"),
        Fault::answer(409, "conflict"),
        Fault::answer(500, "internal server error"),
        Fault::garbage(64),
        Fault::merge(json!({"access_token": null})),
        Fault::merge(json!({"access_expires_at": "soon"})),
    ] {
        let scene = Scene::new().await.set("TOKEN_REAUTH_JITTER_MS", 50);
        scene.devnet.faults().add(fault.on(Endpoint::SiweVerify).times(1));
        let node = scene.node();
        scene.wait_for_work_wanted(&node).await;
        assert_eq!(scene.requests(Endpoint::SiweVerify).len(), 2, "{}", node.log());
        assert_eq!(scene.requests(Endpoint::RegisterWallet).len(), 1, "{}", node.log());
    }
}

#[tokio::test]
async fn s1_9_a_refused_robot_tries_again_and_never_signs() {
    for status in [401, 403, 503] {
        let scene = Scene::new().await.robot().set("TOKEN_REAUTH_JITTER_MS", 50);
        scene.devnet.faults().add(Fault::answer(status, "no").on(Endpoint::RobotRegister).times(1));
        let node = scene.node();
        scene.wait_for_work_wanted(&node).await;
        assert_eq!(scene.requests(Endpoint::RobotRegister).len(), 2, "still by `register`: {}", node.log());
        assert!(scene.requests(Endpoint::SiweRequest).is_empty(), "{}", node.log());
    }
}

#[tokio::test]
async fn s1_9_a_robots_credentials_can_lie_in_a_file() {
    let scene = Scene::new().await.robot();
    let file = scene.work().join("credentials");
    std::fs::write(&file, format!("{}\n", scene.variables["ROBOT_REGISTRATION_CREDENTIALS"]))
        .expect("written");
    let mut scene = scene.set("ROBOT_REGISTRATION_CREDENTIALS_FILE", file.display());
    scene.variables.remove("ROBOT_REGISTRATION_CREDENTIALS");
    let node = scene.node();
    let ended = scene.wait_for_end(scene.submit_noop(Duration::ZERO), &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
}
