//! Section 3.1: where requests go, with which token, and what the node does after a 401.

use std::time::Duration;

use posemesh_devnet::{BearerKind, Endpoint, Fault, RequestRecord, TaskStatus};
use posemesh_tests::guests::TRAP;
use posemesh_tests::{NOOP, Scene, assert_ended_once};

const DMS: [Endpoint; 4] = [Endpoint::Lease, Endpoint::Heartbeat, Endpoint::Complete, Endpoint::Fail];

#[tokio::test]
async fn s3_1_paths_headers_and_tokens_are_those_of_the_protocol_whatever_the_base_ends_in() {
    for slash in ["", "/", "//"] {
        let scene = Scene::new().await;
        let base = format!("{}{slash}", scene.devnet.dms_url());
        let scene = scene.set("DMS_BASE_URL", base);
        let mut node = scene.node();
        let task = scene.submit_noop(Duration::ZERO);
        assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed, "{}", node.log());
        let requests = scene.devnet.requests();
        let to_dms = requests.iter().filter(|request| request.endpoint.is_some_and(|e| DMS.contains(&e)));
        for request in to_dms {
            let id = scene.devnet.node().node_id;
            assert_eq!((request.bearer, request.bearer_valid), (BearerKind::Node(id), true), "{request:?}");
            assert_eq!(request.query, "", "{request:?}");
            let (path, kind) = match request.endpoint {
                Some(Endpoint::Lease) => ("/v1/tasks".to_owned(), None),
                Some(Endpoint::Heartbeat) => {
                    (format!("/v1/tasks/{task}/heartbeat"), Some("application/json"))
                }
                _ => (format!("/v1/tasks/{task}/complete"), Some("application/json")),
            };
            assert_eq!((request.path.as_str(), request.header("content-type")), (path.as_str(), kind));
            assert_eq!(request.header("posemesh-client-id"), None, "{request:?}");
            assert_eq!(request.body_bytes > 0, kind.is_some(), "{request:?}");
        }
        assert_eq!(node.terminate().await, 0, "{}", node.log());
    }
}

#[tokio::test]
async fn s3_1_the_first_401_of_each_call_brings_a_login_and_the_same_request_once_more() {
    for endpoint in DMS {
        let scene = Scene::new().await.serving(TRAP);
        let mut node = scene.node();
        // The registration of a runner that loads late would come between the two requests.
        scene.wait_for_registered(&[NOOP, TRAP.capability], &node).await;
        let fault = scene.devnet.faults().add(Fault::answer(401, "expired").on(endpoint).times(1));
        let fails = endpoint == Endpoint::Fail;
        let task = if fails {
            scene.submit(TRAP.capability, &serde_json::Value::Null, 1).1
        } else {
            scene.submit_noop(Duration::ZERO)
        };
        let ended = scene.wait_for_end(task, &node).await;
        let expected = if fails { TaskStatus::Failed } else { TaskStatus::Completed };
        assert_eq!(ended.status, expected, "{endpoint:?}\n{}", node.log());
        assert_ended_once(&ended, &node);

        let refused = scene.hit_by(fault).remove(0);
        let again = scene.wait_for_after(endpoint, refused.seq, &node).await;
        let same = |request: &RequestRecord| {
            let length = request.header("content-length").map(str::to_owned);
            (request.method.clone(), request.path.clone(), length)
        };
        assert_eq!(same(&again), same(&refused), "{endpoint:?}");
        assert_ne!(again.bearer_hash, refused.bearer_hash, "{endpoint:?}: with another token");
        let between: Vec<_> = scene
            .devnet
            .requests()
            .into_iter()
            .filter(|request| request.seq > refused.seq && request.seq < again.seq)
            .filter_map(|request| request.endpoint)
            .collect();
        // A login that was under way already, or over, since the second runner was registered, counts as well: the token is
        // another one.
        let login = [Endpoint::SiweRequest, Endpoint::SiweVerify];
        assert!(login.ends_with(&between), "{endpoint:?}: {between:?}\n{}", node.log());
        assert_eq!(node.terminate().await, 0, "{}", node.log());
    }
}

#[tokio::test]
async fn s3_1_a_second_401_is_an_error_like_any_other() {
    // A request for work: back-off. A request about a lease: repeated while the lease is valid.
    for endpoint in [Endpoint::Lease, Endpoint::Heartbeat, Endpoint::Complete] {
        let scene = Scene::new().await;
        let fault = scene.devnet.faults().add(Fault::answer(401, "no").on(endpoint).times(4));
        let node = scene.node();
        let task = scene.submit_noop(Duration::ZERO);
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{endpoint:?}\n{}", node.log());
        assert_ended_once(&ended, &node);
        assert_eq!(scene.hit_by(fault).len(), 4, "{endpoint:?}");
        scene.assert_goes_on(node).await;
    }
}
