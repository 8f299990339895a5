//! Section 3.3: what may be missing in a lease, what must not, and what follows.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskState, TaskStatus};
use posemesh_tests::guests::SPIN;
use posemesh_tests::{NOOP, NodeProcess, Scene, assert_ended_once, leases_of};
use serde_json::{Value, json};

/// Runs a short task whose lease, and every answer to its heartbeats, is changed like this.
async fn changed(lease: Value, heartbeat: Value) -> (Scene, NodeProcess, TaskState) {
    let scene = Scene::new().await;
    scene.devnet.faults().add(Fault::merge(lease).on(Endpoint::Lease).times(1));
    scene.devnet.faults().add(Fault::merge(heartbeat).on(Endpoint::Heartbeat));
    let node = scene.node();
    let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
    let ended = scene.wait_for_end(task, &node).await;
    assert_ended_once(&ended, &node);
    scene.devnet.faults().clear();
    (scene, node, ended)
}

#[tokio::test]
async fn s3_3_nothing_but_the_task_its_capability_and_its_domain_has_to_be_there() {
    let lease = json!({
        "access_token": null, "access_token_expires_at": null, "lease_expires_at": null, "cancel": null,
        "status": null, "unknown": {"field": [1]},
        "task": {
            "job_id": null, "capability_filters": null, "inputs_cids": null, "label": null, "stage": null,
            "priority": null, "attempts": null, "max_attempts": null, "deps_remaining": null, "status": null,
            "mode": null, "organization_id": null, "billing_units": null, "estimated_credit_cost": null,
            "lease_expires_at": null, "unknown": 7,
        },
    });
    let (scene, node, ended) = changed(lease, json!({})).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}\n{}", ended.failures, node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_3_fields_for_information_may_be_odd() {
    let lease = json!({
        "access_token_expires_at": "soon", "status": 7,
        "task": {"priority": -7, "attempts": "many", "max_attempts": -1, "label": [], "stage": {},
                 "debited_at": "never", "billing_units": 3},
    });
    let (scene, node, ended) = changed(lease, json!({})).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}\n{}", ended.failures, node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_3_a_lease_without_a_domain_fails_at_build_ports() {
    for (field, value, says) in [
        ("domain_server_url", Value::Null, "no domain_server_url"),
        ("domain_server_url", json!("not a URL"), "is not an http(s) URL"),
        ("domain_server_url", json!("ftp://host/"), "is not an http(s) URL"),
        ("domain_server_url", json!("https://user:pw@host/"), "is not an http(s) URL"),
        ("domain_server_url", json!("http://ds.example/"), "https is needed"),
        ("domain_id", Value::Null, "no domain_id"),
    ] {
        let (scene, node, ended) = changed(json!({field: value}), json!({field: value})).await;
        assert_eq!(ended.status, TaskStatus::Failed, "{field}: {value}");
        let failure = &ended.failures[0];
        assert_eq!(failure.reason, "node_setup_failed");
        assert_eq!(failure.details["stage"], "build_ports", "{}", failure.details);
        let error = failure.details["error"].as_str().expect("a text");
        assert!(error.contains(says), "{field}: {value}: {error}");
        assert_eq!(scene.words_about(ended.id), ["heartbeat", "fail"], "the initial one, and no more");
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s3_3_a_capability_that_is_not_ours_fails_at_start_session_without_a_heartbeat() {
    for capability in ["/posemesh/other/v1", "/posemesh/noop", "/POSEMESH/noop/v1", ""] {
        let (scene, node, ended) = changed(json!({"task": {"capability": capability}}), json!({})).await;
        let failure = &ended.failures[0];
        assert_eq!(failure.reason, "node_setup_failed");
        assert_eq!(failure.details["stage"], "start_session", "{}", failure.details);
        let error = failure.details["error"].as_str().expect("a text");
        assert!(error.contains(NOOP), "it says what is live: {error}");
        assert_eq!(scene.words_about(ended.id), ["fail"]);
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s3_3_a_lease_that_is_cancelled_already_is_dropped_without_a_call() {
    let scene = Scene::with(leases_of(Duration::from_secs(1))).await;
    scene.devnet.faults().add(Fault::merge(json!({"cancel": true})).on(Endpoint::Lease).times(1));
    let node = scene.node();
    let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
    // The server itself does not know of the cancellation, so the lease expires.
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Failed, "{}", node.log());
    assert_ended_once(&ended, &node);
    assert_eq!(scene.words_about(task), [""; 0], "no call at all");
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_3_without_an_expiry_heartbeats_go_by_what_is_known() {
    // The lease has no expiry; the answer to the initial heartbeat has one, the later ones do not.
    let scene = Scene::with(leases_of(Duration::from_secs(4))).await.serving(SPIN);
    let no_end = json!({"lease_expires_at": null, "task": {"lease_expires_at": null}});
    scene.devnet.faults().add(Fault::merge(no_end).on(Endpoint::Lease));
    let gone = Fault::merge(json!({"lease_expires_at": null})).on(Endpoint::Heartbeat).skip(1);
    scene.devnet.faults().add(gone);
    let node = scene.node();
    let (job, task) = scene.submit(SPIN.capability, &Value::Null, 1);
    scene.wait_for(Endpoint::Heartbeat, 5, &node).await;
    assert_eq!(scene.task(task).expired_leases, 0, "{}", node.log());
    scene.devnet.cancel_job(job).expect("it runs");
    scene.assert_goes_on(node).await;
}
