//! Jobs, leases, and how both end.

use std::time::Duration;

use posemesh_devnet::TaskStatus;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::SOON;
use crate::client::{Node, http, job, read, start};

#[tokio::test]
async fn a_task_is_leased_renewed_and_completed() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    assert_eq!(node.lease().await.0, 204);
    let submitted = devnet.submit_job(job()).unwrap();
    let id = submitted.tasks[0];

    let (status, envelope) = node.lease().await;
    assert_eq!(status, 200);
    assert_eq!(envelope["task"]["id"], id.to_string());
    assert_eq!(envelope["task"]["attempts"], 1);
    assert_eq!(envelope["cancel"], false);
    assert_eq!(envelope["domain_id"], devnet.domain_id().to_string());
    assert_eq!(envelope["domain_server_url"], devnet.domain_server_url());
    assert_eq!(envelope["status"], "leased");
    assert!(envelope["task"]["billing_units"].is_string());
    assert_eq!(node.lease().await.0, 409, "a node has one lease at a time");

    let (status, first) = node.heartbeat(id, json!({"percent": 1}), json!(["a"])).await;
    assert_eq!((status, &first["status"]), (200, &json!("running")));
    assert_ne!(first["access_token"], envelope["access_token"], "the task token rotates");
    let (_, second) = node.heartbeat(id, json!({"percent": 2}), json!(["b", "c"])).await;
    let expiry = |answer: &Value| {
        OffsetDateTime::parse(answer["lease_expires_at"].as_str().unwrap(), &Rfc3339).unwrap()
    };
    // Dates are rounded down to milliseconds, so the later one may look earlier by one.
    assert!(expiry(&second) + Duration::from_millis(2) >= expiry(&first), "the lease must not shrink");
    let task = devnet.task(id).unwrap();
    assert_eq!(task.progress, json!({"percent": 2}), "progress is replaced");
    assert_eq!(task.events, ["a", "b", "c"], "events are appended");
    assert_eq!(devnet.heartbeats(id)[1].events, ["b", "c"]);

    let body = json!({"output_cids": ["x"], "meta": {"artifacts": []}});
    assert_eq!(node.report(id, "complete", body.clone()).await.0, 200);
    let ended = devnet.wait_for_task_end(id, SOON).await.unwrap();
    assert_eq!((ended.status, ended.completions), (TaskStatus::Completed, vec![body.clone()]));
    assert_eq!(devnet.job_status(submitted.id), Some("completed"));
    assert_eq!(node.report(id, "complete", body).await.0, 409);
    assert_eq!(node.heartbeat(id, json!({}), json!([])).await.0, 409);
}

#[tokio::test]
async fn tokens_and_ids_that_are_unknown_are_refused() {
    let devnet = start(|_| {}).await;
    let mut node = Node::log_in(&devnet).await;
    for verb in ["heartbeat", "complete", "fail"] {
        let body = json!({"progress": {}, "events": [], "reason": "r"});
        assert_eq!(node.report(Uuid::new_v4(), verb, body).await.0, 404, "{verb}");
    }
    let id = devnet.submit_job(job()).unwrap().tasks[0];
    assert_eq!(node.heartbeat(id, json!({}), json!([])).await.0, 409, "it is not leased yet");
    let (_, envelope) = node.lease().await;
    let machine = std::mem::replace(&mut node.token, "nonsense".to_owned());
    assert_eq!(node.lease().await.0, 401);
    node.token = envelope["access_token"].as_str().unwrap().to_owned();
    assert_eq!(node.lease().await.0, 401, "a task token is not for DMS");
    node.token = machine;
    let large = "x".repeat(2 << 20);
    assert_eq!(node.heartbeat(id, json!(large), json!([])).await.0, 413);
    let no_events = node.report(id, "heartbeat", json!({"progress": {}})).await.0;
    assert_eq!(no_events, 400, "both fields are always there");
}

#[tokio::test]
async fn a_failed_task_is_tried_again_until_attempts_run_out() {
    let devnet = start(|config| config.max_attempts = 2).await;
    let node = Node::log_in(&devnet).await;
    let submitted = devnet.submit_job(job()).unwrap();
    let id = submitted.tasks[0];
    let failure = json!({"reason": "no luck", "details": {"n": 1}});
    assert_eq!(node.lease().await.0, 200);
    assert_eq!(node.report(id, "fail", failure.clone()).await.0, 200);
    assert_eq!(devnet.task(id).unwrap().status, TaskStatus::Queued);
    assert_eq!(node.report(id, "fail", failure.clone()).await.0, 409);
    assert_eq!(node.lease().await.1["task"]["attempts"], 2);
    assert_eq!(node.report(id, "fail", failure).await.0, 200);
    let task = devnet.task(id).unwrap();
    assert_eq!((task.status, task.failures.len()), (TaskStatus::Failed, 2));
    assert_eq!((task.failures[0].reason.as_str(), &task.failures[0].details["n"]), ("no luck", &json!(1)));
    assert_eq!(devnet.job_status(submitted.id), Some("failed"));
    assert_eq!(node.lease().await.0, 204);
}

#[tokio::test]
async fn an_expired_lease_goes_back_to_the_queue() {
    let devnet = start(|config| {
        config.lease_ttl = Duration::from_millis(50);
        config.sweep_interval = Duration::from_millis(10);
    })
    .await;
    let node = Node::log_in(&devnet).await;
    let id = devnet.submit_job(job()).unwrap().tasks[0];
    assert_eq!(node.lease().await.0, 200);
    let task = devnet.wait_for(id, SOON, |task| task.expired_leases == 1).await.unwrap();
    assert_eq!(task.status, TaskStatus::Queued);
    assert_eq!(node.heartbeat(id, json!({}), json!([])).await.0, 409);
    assert!(!devnet.heartbeats(id)[0].accepted);
    assert_eq!(node.lease().await.1["task"]["attempts"], 2);
}

#[tokio::test]
async fn a_lease_can_be_made_to_expire_at_once() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let id = devnet.submit_job(job()).unwrap().tasks[0];
    assert!(!devnet.expire_lease(id), "there is none yet");
    assert_eq!(node.lease().await.0, 200);
    assert!(devnet.expire_lease(id));
    let task = devnet.task(id).unwrap();
    assert_eq!((task.status, task.expired_leases, task.leased_by), (TaskStatus::Queued, 1, None));
    assert_eq!(node.report(id, "complete", json!({"output_cids": []})).await.0, 409);
}

#[tokio::test]
async fn a_cancellation_is_reported_with_the_next_heartbeat() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let submitted = devnet.submit_job(job()).unwrap();
    let id = submitted.tasks[0];
    node.lease().await;
    assert_eq!(node.heartbeat(id, json!({}), json!([])).await.1["cancel"], false);
    devnet.cancel_job(submitted.id).unwrap();
    let (status, answer) = node.heartbeat(id, json!({}), json!([])).await;
    assert_eq!((status, &answer["cancel"], &answer["status"]), (200, &json!(true), &json!("canceled")));
    assert!(devnet.heartbeats(id)[1].cancel);
    assert_eq!(node.report(id, "complete", json!({"output_cids": []})).await.0, 409);
    assert_eq!(node.lease().await.0, 204, "a cancelled task does not keep the node busy");
    assert!(devnet.cancel_job(submitted.id).unwrap_err().to_string().contains("409"));
}

#[tokio::test]
async fn stages_wait_for_their_dependencies() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let task =
        |stage: &str, priority: i64| json!({"stage": stage, "capability": "/b/v1", "priority": priority});
    let submitted = devnet
        .submit_job(json!({
            "tasks": [task("last", 9), task("first", 0), task("first", 5)],
            "edges": [{"from": "first", "to": "last"}],
        }))
        .unwrap();
    let mut order = Vec::new();
    assert_eq!(devnet.task(submitted.tasks[0]).unwrap().deps_remaining, 2);
    while let (200, envelope) = node.lease().await {
        assert_eq!(envelope["task"]["deps_remaining"], 0);
        let id: Uuid = envelope["task"]["id"].as_str().unwrap().parse().unwrap();
        order.push(id);
        assert_eq!(node.report(id, "complete", json!({"output_cids": []})).await.0, 200);
    }
    let [last, first, sooner] = submitted.tasks[..] else { panic!("three tasks") };
    assert_eq!(order, [sooner, first, last], "dependencies first, then priority");

    let circle = json!({
        "tasks": [task("a", 0), task("b", 0)],
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}],
    });
    assert!(devnet.submit_job(circle).unwrap_err().to_string().contains("circle"));
}

#[tokio::test]
async fn tasks_that_depend_on_a_failed_stage_are_cancelled() {
    let devnet = start(|config| config.max_attempts = 1).await;
    let node = Node::log_in(&devnet).await;
    let task = |stage: &str| json!({"stage": stage, "capability": "/a/v1"});
    let job = json!({"tasks": [task("a"), task("b"), task("c")],
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]});
    let submitted = devnet.submit_job(job).unwrap();
    node.lease().await;
    node.report(submitted.tasks[0], "fail", json!({"reason": "r", "details": null})).await;
    let statuses = submitted.tasks.iter().map(|id| devnet.task(*id).unwrap().status);
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        [TaskStatus::Failed, TaskStatus::Canceled, TaskStatus::Canceled]
    );
    assert_eq!(devnet.job_status(submitted.id), Some("failed"));
}

#[tokio::test]
async fn nodes_get_only_what_they_registered_for() {
    let devnet = start(|config| config.leases_per_node = 2).await;
    let node = Node::log_in(&devnet).await;
    devnet.submit_job(json!({"tasks": [{"capability": "/other/v1"}]})).unwrap();
    assert_eq!(node.lease().await.0, 204);
    for _ in 0..3 {
        devnet.submit_job(job()).unwrap();
    }
    let filtered = node.request(Method::GET, "//tasks?capability=/b/v1").send().await.unwrap();
    assert_eq!(filtered.status(), 204);
    assert!(filtered.headers().contains_key("date"));
    assert_eq!([node.lease().await.0, node.lease().await.0, node.lease().await.0], [200, 200, 409]);
}

#[tokio::test]
async fn applications_use_the_job_api() {
    let devnet = start(|_| {}).await;
    let ask = |method: Method, path: &str, token: &str, body: Value| {
        let request = http().request(method, format!("{}{path}", devnet.dms_url())).bearer_auth(token);
        async move { read(request.body(body.to_string()).send().await.unwrap()).await }
    };
    let app = devnet.app_token();
    let mut request = job();
    request["domain_id"] = json!(devnet.domain_id());
    assert_eq!(ask(Method::POST, "/jobs", "nonsense", request.clone()).await.0, 401);
    let (status, body) = ask(Method::POST, "/jobs", app, request).await;
    assert_eq!(status, 200, "{body}");
    let id = serde_json::from_str::<Value>(&body).unwrap()["job_id"].as_str().unwrap().to_owned();
    let path = format!("/jobs/{id}");

    let (_, body) = ask(Method::GET, &path, app, json!({})).await;
    let job: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&job["job"]["status"], &job["tasks_summary"]["queued"]), (&json!("pending"), &json!(1)));
    assert_eq!(job["tasks"][0]["max_attempts"], 3);
    let (_, body) = ask(Method::GET, "/jobs?status=pending&limit=1", app, json!({})).await;
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&list["items"][0]["job"]["id"], &list["next_cursor"]), (&json!(id), &Value::Null));

    assert_eq!(ask(Method::POST, &format!("{path}/cancel"), app, json!({})).await.0, 200);
    let (_, body) = ask(Method::GET, &path, app, json!({})).await;
    let job: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&job["job"]["status"], job["receipts"].as_array().unwrap().len()), (&json!("canceled"), 1));
    assert_eq!(ask(Method::DELETE, &path, app, json!({})).await.0, 204);
    assert_eq!(ask(Method::GET, &path, app, json!({})).await.0, 404);
}

#[tokio::test]
async fn a_malformed_job_is_refused_with_the_field_at_fault() {
    let devnet = start(|_| {}).await;
    let job = json!({"tasks": [{"capability": "/a/v1"}, {"capability": "/a/v1", "mode": "secret"}]});
    let refused = devnet.submit_job(job.clone()).unwrap_err().to_string();
    assert!(refused.contains("400") && refused.contains("tasks[1].mode"), "{refused}");
    let request = http().post(format!("{}/jobs", devnet.dms_url())).bearer_auth(devnet.app_token());
    let (status, text) = read(request.body(job.to_string()).send().await.unwrap()).await;
    assert!(status == 400 && text.contains("tasks[1].mode"), "{status} {text}");
}
