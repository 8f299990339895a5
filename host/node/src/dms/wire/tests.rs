#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use posemesh_net::secret::Secret;
use serde_json::json;
use time::macros::datetime;

use super::*;

const TASK: &str = "11111111-1111-4111-8111-111111111111";
const JOB: &str = "22222222-2222-4222-8222-222222222222";
const DOMAIN: &str = "33333333-3333-4333-8333-333333333333";

fn full() -> Value {
    json!({
        "access_token": "token", "access_token_expires_at": "2026-01-01T00:03:00Z",
        "lease_expires_at": "2026-01-01T00:01:00Z", "cancel": false, "status": "leased",
        "domain_id": DOMAIN, "domain_server_url": "https://ds.example", "p2p_access_token": "x",
        "task": {
            "id": TASK, "job_id": JOB, "capability": "/c/v1", "capability_filters": {"gpu": true},
            "inputs_cids": ["a", "b"], "outputs_prefix": "out", "label": "l", "stage": "s",
            "meta": {"k": 1}, "priority": -1, "attempts": 1, "max_attempts": 3, "deps_remaining": 0,
            "status": "leased", "mode": "public", "organization_filter": null,
            "billing_units": "1.5", "debited_at": "2026-01-01T00:00:00Z",
        },
    })
}

fn read(body: &Value) -> LeaseAnswer {
    decode_lease(body.to_string().as_bytes(), None)
}

fn good(body: &Value) -> Lease {
    match read(body) {
        LeaseAnswer::Lease(lease) => *lease,
        other => panic!("{body} should be a lease, not {other:?}"),
    }
}

#[test]
fn a_full_lease_is_read() {
    let date = datetime!(2026-01-01 0:00 UTC);
    let LeaseAnswer::Lease(lease) = decode_lease(full().to_string().as_bytes(), Some(date)) else { panic!() };
    assert_eq!(lease.access_token, Some(Secret::new("token")));
    assert_eq!(lease.lease_expires_at, Some(datetime!(2026-01-01 0:01 UTC)));
    assert_eq!(lease.server_date, Some(date));
    assert_eq!(lease.domain_server_url.get().unwrap().as_str(), "https://ds.example/");
    let task = &lease.task;
    assert_eq!((task.id.to_string().as_str(), task.capability.as_str()), (TASK, "/c/v1"));
    assert_eq!(task.domain_id.unwrap().to_string(), DOMAIN);
    assert_eq!(task.inputs_cids, ["a", "b"]);
    assert_eq!((task.attempts, task.max_attempts), (Some(1), Some(3)));
    assert!(!format!("{lease:?}").contains("\"token\""));
}

#[test]
fn null_and_missing_are_the_same_for_everything_that_may_be_missing() {
    let bare = json!({"task": {"id": TASK, "capability": "/c/v1"}});
    let mut nulls = full();
    for (field, value) in nulls.as_object_mut().unwrap() {
        if field != "task" {
            *value = Value::Null;
        }
    }
    for (field, value) in nulls["task"].as_object_mut().unwrap() {
        if !["id", "capability"].contains(&field.as_str()) {
            *value = Value::Null;
        }
    }
    let lease = good(&bare);
    assert_eq!(lease, good(&nulls));
    assert!(
        !lease.cancel
            && lease.task.inputs_cids.is_empty()
            && lease.task.meta.is_null()
            && lease.task.capability_filters.is_null()
    );
    assert_eq!(lease.domain_server_url, DomainServerUrl::Missing);
}

#[test]
fn what_is_for_information_only_does_not_spoil_a_lease() {
    let mut body = full();
    body["status"] = json!(7);
    body["access_token_expires_at"] = json!("soon");
    body["lease_expires_at"] = json!("later");
    body["task"]["attempts"] = json!(-1);
    body["task"]["label"] = json!({});
    body["task"]["priority"] = json!("high");
    body["task"]["lease_expires_at"] = json!("2026-01-01T00:02:00Z");
    let lease = good(&body);
    assert_eq!(lease.lease_expires_at, Some(datetime!(2026-01-01 0:02 UTC)), "the task's own stands in");
    assert_eq!(lease.task.attempts, None);
}

#[test]
fn a_bad_domain_server_url_is_kept_as_such() {
    for bad in [
        json!("not a url"),
        json!("ftp://h/"),
        json!(7),
        json!("data:x"),
        json!("https://user:pw@ds.example"),
        json!("https://user@ds.example"),
    ] {
        let mut body = full();
        body["domain_server_url"] = bad;
        assert!(good(&body).domain_server_url.get().unwrap_err().contains("not an http(s) URL"));
    }
}

#[test]
fn a_lease_that_cannot_be_read_still_gives_its_task_id() {
    for (field, bad) in [
        ("capability", Value::Null),
        ("capability", json!(["hunter2"])),
        ("inputs_cids", json!("hunter2")),
        ("inputs_cids", json!(["a", null])),
        ("outputs_prefix", json!({})),
    ] {
        let mut body = full();
        body["task"][field] = bad;
        let LeaseAnswer::Unreadable { task_id, error } = read(&body) else { panic!("{body}") };
        assert_eq!(task_id.unwrap().to_string(), TASK);
        assert!(error.to_string().contains(field) && !error.to_string().contains("hunter2"), "{error}");
    }
    let mut body = full();
    body["cancel"] = json!("hunter2");
    assert!(matches!(read(&body), LeaseAnswer::Unreadable { task_id: Some(_), .. }));
    body["task"]["id"] = json!("x");
    assert!(matches!(read(&body), LeaseAnswer::Unreadable { task_id: None, .. }));
    for garbage in [&b""[..], b"<html>", b"[1]", b"null", b"{\"task\":{\"id\":\"1111", b"\xff\xfe"] {
        assert!(matches!(decode_lease(garbage, None), LeaseAnswer::Unreadable { task_id: None, .. }));
    }
}

#[test]
fn a_later_attempt_has_the_same_parameters_as_the_first() {
    let mut body = full();
    body["task"]["meta"] =
        json!({"voxel_size": 2, "progress": {"progress": 0.5}, "events": [1], "deep": {"events": 1}});
    assert_eq!(good(&body).task.meta, json!({"voxel_size": 2, "deep": {"events": 1}}).into());
    body["task"]["meta"] = json!([{"progress": 1}]);
    assert_eq!(good(&body).task.meta, json!([{"progress": 1}]).into());
}

#[test]
fn parameters_and_filters_stay_as_the_submitter_wrote_them() {
    let meta = r#"{ "z": 51.248178375505404, "a":123456789012345678901234567890, "z" :1e400 }"#;
    let filters = r#"{"gpu" : [ 1.0, 0.10 ], "cpu":-0}"#;
    let added = r#"{ "progress":{"x":1},"z": 51.248178375505404, "events" :[1]}"#;
    let body = |meta: &str| {
        format!(
            r#"{{"task":{{"id":"{TASK}","capability":"/c/v1","capability_filters":{filters},"meta":{meta},"attempts":1}}}}"#
        )
    };
    let read = |body: &str| match decode_lease(body.as_bytes(), None) {
        LeaseAnswer::Lease(lease) => lease.task,
        other => panic!("{body} should be a lease, not {other:?}"),
    };
    let task = read(&body(meta));
    assert_eq!((task.meta.as_str(), task.capability_filters.as_str()), (meta, filters));
    assert_eq!(read(&body(added)).meta.as_str(), r#"{"z": 51.248178375505404}"#);
    let answer = decode_heartbeat_answer(body(meta).as_bytes(), None).unwrap();
    assert_eq!(
        answer.task.unwrap().meta.as_str(),
        meta,
        "the initial heartbeat replaces the task as a whole"
    );
}

#[test]
fn parameters_that_are_nested_too_deep_make_the_lease_unreadable_and_nothing_else() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"task":{{"id":"{TASK}","capability":"/c/v1","meta":{deep}}}}}"#);
    let LeaseAnswer::Unreadable { task_id, error } = decode_lease(body.as_bytes(), None) else { panic!() };
    assert_eq!(task_id.unwrap().to_string(), TASK);
    assert_eq!(error, "the field `task.meta` of the answer is not JSON of usual depth");
}

#[test]
fn blank_text_is_the_same_as_a_missing_field_in_leases_and_heartbeats() {
    for blank in ["", " \t"] {
        let mut body = full();
        for (field, value) in body.as_object_mut().unwrap() {
            if field != "task" {
                *value = json!(blank);
            }
        }
        for (field, value) in body["task"].as_object_mut().unwrap() {
            if !["id", "capability", "meta", "capability_filters"].contains(&field.as_str()) {
                *value = json!(blank);
            }
        }
        let lease = good(&body);
        assert_eq!((lease.access_token, lease.domain_server_url), (None, DomainServerUrl::Missing));
        assert_eq!((lease.task.outputs_prefix, lease.task.job_id, lease.task.domain_id), (None, None, None));
        assert!(!lease.cancel && lease.task.inputs_cids.is_empty());
        let answer = json!({"access_token": blank, "cancel": blank, "task": blank, "task_id": blank,
            "domain_id": blank, "domain_server_url": blank, "job_id": blank, "lease_expires_at": blank});
        let answer = decode_heartbeat_answer(answer.to_string().as_bytes(), None).unwrap();
        assert_eq!(answer, HeartbeatAnswer::default());
    }
}

#[test]
fn a_field_of_the_wrong_type_costs_neither_a_heartbeat_nor_a_lease_that_does_not_need_it() {
    for odd in [json!(7), json!([]), json!({}), json!("?\n"), json!(1.5), json!(true)] {
        let mut body = full();
        for field in
            ["access_token", "access_token_expires_at", "lease_expires_at", "status", "p2p_access_token"]
        {
            body[field] = odd.clone();
        }
        for field in ["job_id", "label", "stage", "attempts", "max_attempts", "priority", "deps_remaining"] {
            body["task"][field] = odd.clone();
        }
        assert_eq!(good(&body).task.job_id, None, "{odd}");
        let answer = json!({"access_token": odd, "task": odd, "task_id": odd, "domain_id": odd, "job_id": odd,
            "domain_server_url": odd, "attempts": odd, "lease_expires_at": odd});
        let answer = decode_heartbeat_answer(answer.to_string().as_bytes(), None).unwrap();
        assert_eq!((answer.addressed_task(), answer.access_token), (None, None), "{odd}");
    }
}

#[test]
fn cancel_is_read_as_servers_of_many_languages_write_it() {
    for (written, want) in [
        (json!(true), Some(true)),
        (json!(1), Some(true)),
        (json!("true"), Some(true)),
        (json!("True "), Some(true)),
        (json!(false), Some(false)),
        (json!(0), Some(false)),
        (json!("FALSE"), Some(false)),
        (json!(2), None),
        (json!("yes, please"), None),
        (json!({}), None),
    ] {
        let mut body = full();
        body["cancel"] = written.clone();
        let answer =
            decode_heartbeat_answer(json!({"cancel": written}).to_string().as_bytes(), None).unwrap();
        match want {
            Some(want) => assert_eq!((good(&body).cancel, answer.cancel), (want, want), "{written}"),
            None => {
                assert!(matches!(read(&body), LeaseAnswer::Unreadable { task_id: Some(_), .. }), "{written}");
                assert!(!answer.cancel, "a heartbeat has extended the lease whatever {written} means");
            }
        }
    }
}

#[test]
fn an_unusable_domain_server_url_in_a_heartbeat_does_not_replace_a_good_one() {
    let mut lease = good(&full());
    for bad in [json!("not a url"), json!(""), json!(7), json!("https://user:pw@ds.example"), Value::Null] {
        let answer = json!({"domain_server_url": bad}).to_string();
        decode_heartbeat_answer(answer.as_bytes(), None).unwrap().merge_into(&mut lease);
        assert_eq!(lease.domain_server_url.get().unwrap().as_str(), "https://ds.example/", "after {bad}");
    }
    decode_heartbeat_answer(br#"{"domain_server_url": "https://new.example"}"#, None)
        .unwrap()
        .merge_into(&mut lease);
    assert_eq!(lease.domain_server_url.get().unwrap().as_str(), "https://new.example/");
}

#[test]
fn a_task_in_a_heartbeat_answer_that_cannot_be_read_changes_nothing_but_the_id() {
    let answer = decode_heartbeat_answer(json!({"task": {"id": JOB}}).to_string().as_bytes(), None).unwrap();
    assert!(answer.task.is_none());
    assert_eq!(answer.addressed_task().unwrap().to_string(), JOB);
}

#[test]
fn heartbeat_answers_may_be_empty_objects_but_not_nothing() {
    let answer = decode_heartbeat_answer(b"{}", None).unwrap();
    assert!(!answer.cancel && answer.task.is_none() && answer.access_token.is_none());
    for garbage in [&b""[..], b"null", b"[]", b"<html>"] {
        decode_heartbeat_answer(garbage, None).unwrap_err();
    }
}

#[test]
fn the_initial_heartbeat_brings_the_lease_up_to_date() {
    let mut lease = good(&full());
    let answer = json!({"access_token": "newer", "cancel": true, "attempts": 2, "job_id": TASK,
        "lease_expires_at": "2026-01-01T00:05:00Z"});
    decode_heartbeat_answer(answer.to_string().as_bytes(), None).unwrap().merge_into(&mut lease);
    assert_eq!(lease.access_token, Some(Secret::new("newer")));
    assert!(lease.cancel);
    assert_eq!((lease.task.attempts, lease.task.max_attempts), (Some(2), Some(3)));
    assert_eq!(lease.task.job_id.unwrap().to_string(), TASK);
    assert_eq!(lease.task.inputs_cids, ["a", "b"], "what is not named stays");

    let answer = json!({"task": {"id": JOB, "capability": "/d/v1"}, "attempts": 9});
    decode_heartbeat_answer(answer.to_string().as_bytes(), None).unwrap().merge_into(&mut lease);
    assert_eq!((lease.task.id.to_string().as_str(), lease.task.attempts), (JOB, None), "replaced as a whole");
    assert_eq!(lease.task.domain_id.unwrap().to_string(), DOMAIN);
    assert!(lease.cancel, "a cancellation stays");
}

proptest::proptest! {
    #[test]
    fn no_body_makes_the_decoder_panic(body: Vec<u8>) {
        let _ = (decode_lease(&body, None), decode_heartbeat_answer(&body, None));
    }
}
