//! Artifacts in one request, and what they are called.

use super::*;
use posemesh_runner_api::ports::PortErrorKind;

/// The disposition and the bytes of a create or update, whose frame is checked.
fn single(seen: &RecordedRequest) -> (String, Vec<u8>) {
    assert_eq!(seen.header("content-length"), seen.body.len().to_string(), "the length is told beforehand");
    let boundary = seen.header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary.len() >= 32 && boundary != "boundary", "{boundary} could be in an artifact");
    let head_end = seen.body.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&seen.body[..head_end]).unwrap();
    let start =
        format!("--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; ");
    let disposition = head.strip_prefix(&start).unwrap().trim_end().to_owned();
    let end = format!("\r\n--{boundary}--\r\n");
    (disposition, seen.body[head_end..].strip_suffix(end.as_bytes()).unwrap().to_vec())
}

fn named(path: &str, name: &str) -> ArtifactSpec {
    ArtifactSpec { path: path.to_owned(), name: Some(name.to_owned()), ..ArtifactSpec::default() }
}

#[tokio::test]
async fn a_small_artifact_is_one_create_with_the_protocols_headers() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 1_000_000, json!(5))).await;
    let bench = bench(mock.address(), settings());
    let artifact = bench.put("sub/points.ply", b"ply\r\n--boundary--\r\n", 3).await.unwrap();

    let name = format!("out_sub_points_ply_{TASK}");
    assert_eq!(
        artifact.sha256,
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"ply\r\n--boundary--\r\n"))
    );
    assert_eq!(
        (artifact.logical_path.as_str(), artifact.name.as_str()),
        ("out/sub/points.ply", name.as_str())
    );
    assert_eq!((artifact.data_type.as_str(), artifact.id.as_deref(), artifact.size), ("ply", Some(A), 19));
    assert_eq!(bench.ports.outputs.finished(), [artifact]);

    let mut lines = lines(&mock);
    lines[..2].sort();
    assert_eq!(lines, ["GET /api/v1/info", &format!("GET /data?name={name}&data_type=ply"), "POST /data"]);
    for seen in mock.requests() {
        let info = seen.target.ends_with("/info");
        assert_eq!(seen.header("authorization"), if info { "" } else { "Bearer token-0" });
        assert_eq!(seen.header("posemesh-client-id"), if info { "" } else { "node-1" });
    }
    let (disposition, bytes) = single(&mock.requests()[2]);
    assert_eq!(disposition, format!("name=\"{name}\"; data-type=\"ply\""));
    assert_eq!(bytes, b"ply\r\n--boundary--\r\n");
    assert!(bench.ports.traffic.bytes_out() > 19);
}

#[tokio::test]
async fn an_artifact_without_bytes_is_stored_too() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 0, json!(5))).await;
    let artifact = bench(mock.address(), settings()).put("empty", b"", 1).await.unwrap();
    assert_eq!((artifact.size, artifact.data_type.as_str()), (0, "binary"));
    assert_eq!(single(&mock.requests()[2]).1, b"");
}

#[tokio::test]
async fn what_exists_is_updated_and_what_this_task_stored_needs_no_lookup() {
    let mock = MockServer::start(|seen, _| match line(seen) {
        // A lookup may answer with more than was asked for.
        line if line.starts_with("GET /data?") => Reply::json(&json!({"data": [
            {"id": A, "name": format!("out_a_json_{TASK}2"), "data_type": "json"},
            {"id": B, "name": format!("out_a_json_{TASK}"), "data_type": "json", "size": 9, "updated_at": "then"},
        ]})),
        line if line == "PUT /data" => Reply::json(&json!({"data": []})),
        _ => ordinary(seen, 0, json!(5)),
    })
    .await;
    let bench = bench(mock.address(), settings());
    for _ in 0..2 {
        let artifact = bench.put("a.json", b"{}", 9).await.unwrap();
        assert_eq!(artifact.id.as_deref(), Some(B), "the id is kept when the answer has none");
    }
    assert_eq!(lines(&mock)[2..], ["PUT /data", "PUT /data"]);
    assert_eq!(single(&mock.requests()[2]).0, format!("id=\"{B}\""));
    assert_eq!(bench.ports.outputs.finished().len(), 1);

    let spec = ArtifactSpec { path: "b".into(), existing_id: Some(A.into()), ..ArtifactSpec::default() };
    let writer = bench.ports.outputs.create(spec).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(
        single(mock.requests().last().unwrap()).0,
        format!("id=\"{A}\""),
        "an explicit id is taken as it is"
    );
}

#[tokio::test]
async fn a_failed_lookup_is_no_obstacle_and_a_taken_name_is_updated() {
    let mock = MockServer::start(|seen, before| match line(seen) {
        line if line.starts_with("GET /data?") && before < 5 => Reply::status(500),
        line if line.starts_with("GET /data?") => Reply::json(
            &json!({"data": [{"id": B, "name": format!("out_a_json_{TASK}"), "data_type": "json"}]}),
        ),
        line if line == "POST /data" => Reply::status(409),
        _ => ordinary(seen, 0, json!(5)),
    })
    .await;
    let bench = bench(mock.address(), settings());
    bench.put("a.json", b"{}", 9).await.unwrap();
    let lines: Vec<String> = lines(&mock).into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(lines, ["POST /data", "PUT /data"]);
}

#[tokio::test]
async fn data_that_is_gone_when_it_is_updated_is_created() {
    let mock = MockServer::start(|seen, _| match line(seen) {
        line if line.starts_with("GET /data?") => Reply::json(
            &json!({"data": [{"id": B, "name": format!("out_a_json_{TASK}"), "data_type": "json"}]}),
        ),
        line if line == "PUT /data" => Reply::status(404),
        _ => ordinary(seen, 0, json!(5)),
    })
    .await;
    let artifact = bench(mock.address(), settings()).put("a.json", b"{}", 9).await.unwrap();
    assert_eq!(artifact.id.as_deref(), Some(A));
    assert_eq!(lines(&mock)[2..], ["PUT /data", "POST /data"]);
}

#[tokio::test]
async fn a_lookup_that_finds_nothing_does_not_hide_a_conflict() {
    let mock = MockServer::start(|seen, _| match line(seen).as_str() {
        "POST /data" => Reply::bytes("text/plain", Bytes::from_static(b"name exists")).with_status(409),
        _ => ordinary(seen, 0, json!(5)),
    })
    .await;
    let error = bench(mock.address(), settings()).put("a.json", b"{}", 9).await.unwrap_err();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Other, text, .. } if text.contains("name exists")),
        "{error:?}"
    );
}

#[tokio::test]
async fn answers_to_a_create_that_do_not_fit_are_errors() {
    for (answer, corrupt) in
        [(json!({"data": [{"id": A, "size": 3}]}), true), (json!([1]), false), (json!(null), false)]
    {
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "POST /data" => Reply::json(&answer.clone()),
            _ => ordinary(seen, 0, json!(5)),
        })
        .await;
        let bench = bench(mock.address(), settings());
        let error = bench.put("a.json", b"{}", 9).await.unwrap_err();
        assert_eq!(matches!(error, PortError { kind: PortErrorKind::Corrupt, .. }), corrupt, "{error:?}");
        assert!(bench.ports.outputs.finished().is_empty(), "what failed is not reported");
    }
}

#[tokio::test]
async fn a_transient_failure_sends_the_same_body_again() {
    let failures = AtomicUsize::new(0);
    let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
        "POST /data" if failures.fetch_add(1, Ordering::SeqCst) < 2 => Reply::status(503),
        _ => ordinary(seen, 0, json!(5)),
    })
    .await;
    let bytes = noise(300_000);
    bench(mock.address(), settings()).put("a.json", &bytes, 70_000).await.unwrap();
    let posts: Vec<RecordedRequest> =
        mock.requests().into_iter().filter(|seen| seen.method == "POST").collect();
    assert_eq!(posts.len(), 3);
    for seen in posts {
        assert!(single(&seen).1 == bytes, "the bytes differ");
    }
}

#[tokio::test]
async fn paths_that_sanitise_alike_get_distinct_names() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 0, json!(5))).await;
    let bench = bench(mock.address(), settings());
    let first = bench.put("a.b", b"1", 9).await.unwrap();
    let second = bench.put("a_b", b"2", 9).await.unwrap();
    assert_eq!(first.name, format!("out_a_b_{TASK}"), "the plain case is the protocol's");
    assert_ne!(first.name, second.name);
    assert_eq!(bench.put("a_b", b"3", 9).await.unwrap().name, second.name, "a path keeps its name");
}

#[tokio::test]
async fn finished_artifacts_come_in_the_order_of_finishing_and_the_last_of_a_path_counts() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 0, json!(5))).await;
    let bench = bench(mock.address(), settings());
    let early = bench.ports.outputs.create(named("c", "third")).await.unwrap();
    bench.put("a", b"1", 9).await.unwrap();
    bench.put("b", b"2", 9).await.unwrap();
    early.finish().await.unwrap();
    bench.put("a", b"33", 9).await.unwrap();
    drop(bench.ports.outputs.create(named("d", "dropped")).await.unwrap());
    let finished: Vec<_> = bench.ports.outputs.finished();
    let finished: Vec<_> = finished.iter().map(|one| (one.logical_path.as_str(), one.size)).collect();
    assert_eq!(finished, [("out/b", 1), ("out/c", 0), ("out/a", 2)]);
}

#[tokio::test]
async fn wrong_names_and_ids_are_refused_before_any_request() {
    let mock = MockServer::start(|_, _| Reply::status(500)).await;
    let bench = bench(mock.address(), settings());
    let plain = ArtifactSpec { path: "a".into(), ..ArtifactSpec::default() };
    for spec in [
        named("a", "x\"; y=\"z"),
        named("a", ""),
        named("a", &"x".repeat(129)),
        ArtifactSpec { data_type: Some("a/b".into()), ..plain.clone() },
        ArtifactSpec { existing_id: Some("1&2".into()), ..plain.clone() },
    ] {
        let created = bench.ports.outputs.create(spec.clone()).await;
        assert!(matches!(created.err(), Some(PortError { kind: PortErrorKind::Invalid, .. })), "{spec:?}");
    }
    let taken = bench.ports.outputs.create(named("a", "mine")).await;
    assert!(taken.is_ok());
    let again = bench.ports.outputs.create(named("b", "mine")).await;
    assert!(
        matches!(again.err(), Some(PortError { kind: PortErrorKind::Invalid, .. })),
        "another artifact would be replaced"
    );
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn an_artifact_that_failed_takes_nothing_more() {
    let mock = MockServer::start(|request, _| ordinary(request, 0, json!(5))).await;
    let settings = changed(settings(), |settings| settings.uploads.memory_bytes = 0);
    let bench = bench(mock.address(), settings);
    bench.disk.set_limit(3);
    let mut writer = bench.ports.outputs.create(named("c", "c")).await.unwrap();
    let error = writer.write(Bytes::from_static(b"1234")).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Limit, "{error}");
    let error = writer.write(Bytes::from_static(b"")).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    let error = writer.finish().await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    let sent = lines(&mock);
    assert!(sent.iter().all(|line| line.starts_with("GET /data?name=")), "nothing was stored: {sent:?}");
}

#[tokio::test]
async fn a_server_that_takes_no_more_of_a_body_is_an_error() {
    // It accepts connections and reads nothing.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap();
    let short = Duration::from_millis(100);
    let settings = changed(settings(), |settings| {
        settings.requests.idle_timeout = short;
        settings.requests.first_byte_timeout = short;
        settings.uploads.buffer_bytes = 64 << 20;
        settings.requests.retry = RetryPolicy { attempts: Some(1), ..RetryPolicy::default() };
    });
    let error = bench(address, settings).put("a", &vec![0; 32 << 20], 1 << 20).await.unwrap_err();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Unavailable, text, .. } if text.contains("while sending the request")),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_an_artifact_replaces_is_looked_up_while_it_is_written() {
    let mock = MockServer::start(|request, _| ordinary(request, 0, json!(5))).await;
    let bench = bench(mock.address(), settings());
    let mut writer = bench.ports.outputs.create(named("c", "c")).await.unwrap();
    eventually("the name is looked up", || !mock.requests().is_empty()).await;
    writer.write(Bytes::from_static(b"1234")).await.unwrap();
    writer.finish().await.unwrap();
    let looked_up = lines(&mock).iter().filter(|line| line.starts_with("GET /data?name=")).count();
    assert_eq!(looked_up, 1, "and not once more");
}

#[tokio::test]
async fn a_look_up_that_failed_is_made_again_when_the_artifact_is_stored() {
    let mock = MockServer::start(|request, before| match before {
        0 => Reply::status(503),
        _ if line(request).starts_with("GET /data?") => {
            Reply::json(&json!({"data": [{"id": A, "name": "c", "data_type": "binary"}]}))
        }
        _ => ordinary(request, 0, json!(5)),
    })
    .await;
    let bench = bench(mock.address(), settings());
    let mut writer = bench.ports.outputs.create(named("c", "c")).await.unwrap();
    eventually("the name is looked up", || !mock.requests().is_empty()).await;
    writer.write(Bytes::from_static(b"1234")).await.unwrap();
    assert_eq!(writer.finish().await.unwrap().id.as_deref(), Some(A));
    let stored = lines(&mock).iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(stored, 1, "it updates what is there: {:?}", lines(&mock));
}
