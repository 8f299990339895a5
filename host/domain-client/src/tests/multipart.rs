//! Artifacts in parts.

mod aborts;
mod refusals;
mod room;

use super::*;
use posemesh_runner_api::ports::PortErrorKind;

fn small_buffer() -> DomainSettings {
    changed(settings(), |settings| settings.uploads.buffer_bytes = 1000)
}

/// The parts that arrived, by number, and the numbers and etags of complete.
fn parts(mock: &MockServer) -> (Vec<Bytes>, Value) {
    let mut parts: Vec<(u32, Bytes)> = Vec::new();
    let mut complete = Value::Null;
    for seen in mock.requests() {
        if let Some((_, number)) = seen.target.split_once("partNumber=") {
            assert!(seen.target.contains("uploadId=u%2F1&"), "the id is encoded: {}", seen.target);
            assert_eq!(seen.header("content-type"), "application/octet-stream");
            assert_eq!(seen.header("content-length"), seen.body.len().to_string());
            parts.push((number.parse().unwrap(), seen.body));
        } else if seen.method == "POST" && seen.target.ends_with("?uploadId=u%2F1") {
            complete = seen.json()["parts"].clone();
        }
    }
    parts.sort_by_key(|(number, _)| *number);
    (parts.into_iter().map(|(_, body)| body).collect(), complete)
}

fn count(mock: &MockServer, start: &str) -> usize {
    lines(mock).iter().filter(|line| line.starts_with(start)).count()
}

/// A server that begins a session only when somebody else is at the gate too.
async fn begins_at(gate: &Arc<Barrier>) -> MockServer {
    let gate = Arc::clone(gate);
    MockServer::start(move |seen, _| match seen.target.ends_with("?uploads") {
        true => ordinary(seen, 1, json!(400)).at(&gate),
        false => ordinary(seen, 1, json!(400)),
    })
    .await
}

const DELETE: &str = "DELETE /data/multipart?uploadId=u%2F1";

#[tokio::test]
async fn a_large_artifact_goes_in_parts_while_it_is_written() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 1_000_000, json!(700))).await;
    let bench = bench(mock.address(), small_buffer());
    let bytes = noise(3000);
    let mut writer = bench
        .ports
        .outputs
        .create(ArtifactSpec { path: "a.ply".into(), ..Default::default() })
        .await
        .unwrap();
    writer.write(Bytes::copy_from_slice(&bytes[..1500])).await.unwrap();
    eventually("parts are sent before the artifact is finished", || parts(&mock).0.len() == 2).await;
    writer.write(Bytes::copy_from_slice(&bytes[1500..])).await.unwrap();
    let artifact = writer.finish().await.unwrap();
    assert_eq!((artifact.id.as_deref(), artifact.size), (Some(B), 3000));

    let initiate = mock.requests().into_iter().find(|seen| seen.target.ends_with("?uploads")).unwrap();
    assert_eq!(initiate.header("posemesh-client-id"), "node-1");
    assert_eq!(initiate.header("content-type"), "application/json");
    let want = json!({"name": artifact.name, "data_type": "ply", "size": null,
        "content_type": "application/octet-stream", "existing_id": null});
    assert_eq!(initiate.json(), want);
    let (sent, complete) = parts(&mock);
    assert_eq!(sent.iter().map(Bytes::len).collect::<Vec<_>>(), [700, 700, 700, 700, 200]);
    assert!(sent.concat() == bytes, "other bytes arrived");
    let want: Vec<Value> = (1..=5).map(|n| json!({"part_number": n, "etag": format!("etag-{n}")})).collect();
    assert_eq!(complete, json!(want), "ascending, each with its etag");
    bench.client.close().await;
    assert_eq!(count(&mock, "DELETE"), 0, "a completed session is not aborted");
}

#[tokio::test]
async fn a_known_size_that_does_not_fit_one_request_is_told_to_initiate() {
    for part_size in [1, 599, 600, 601] {
        let mock = MockServer::start(move |seen, _| ordinary(seen, 500, json!(part_size))).await;
        let bytes = noise(600);
        bench(mock.address(), settings()).put("a.ply", &bytes, 600).await.unwrap();
        let initiate = mock.requests().into_iter().find(|seen| seen.target.ends_with("?uploads")).unwrap();
        assert_eq!(initiate.json()["size"], 600);
        let (sent, _) = parts(&mock);
        assert_eq!(sent.len(), 600_usize.div_ceil(part_size), "parts of {part_size}");
        assert!(sent.concat() == bytes, "other bytes arrived in parts of {part_size}");
    }
}

#[tokio::test]
async fn so_many_parts_are_in_flight_as_the_settings_say() {
    let together = Arc::new(Barrier::new(3));
    let mock = MockServer::start(move |seen, _| match seen.target.contains("partNumber") {
        // Each part waits until three are there: fewer in flight would wait for ever.
        true => ordinary(seen, 1, json!(100)).at(&together),
        false => ordinary(seen, 1, json!(100)),
    })
    .await;
    let bench = bench(mock.address(), changed(small_buffer(), |settings| settings.uploads.parallelism = 3));
    let bytes = noise(9 * 100);
    tokio::time::timeout(Duration::from_secs(60), bench.put("a", &bytes, 50))
        .await
        .expect("three at once")
        .unwrap();
    assert_eq!(most_parts_in_flight(&mock), 3);
    assert!(parts(&mock).0.concat() == bytes, "other bytes arrived");
}

#[tokio::test]
async fn parts_are_retried_on_their_own_and_take_the_newest_token() {
    let tries = AtomicUsize::new(0);
    let mock = MockServer::start(move |seen, _| {
        let second = seen.target.ends_with("partNumber=2");
        match (second, seen.header("authorization")) {
            (true, _) if tries.fetch_add(1, Ordering::SeqCst) == 0 => Reply::status(503),
            (true, "Bearer token-0") => Reply::status(401),
            _ => ordinary(seen, 1, json!(400)),
        }
    })
    .await;
    let bench = bench(mock.address(), small_buffer());
    let bytes = noise(2000);
    let heartbeats = async {
        bench.token.refresh_wanted().await;
        bench.token.rotate(Secret::new("token-1"));
    };
    let (stored, ()) = tokio::join!(bench.put("a", &bytes, 100), heartbeats);
    stored.unwrap();
    assert_eq!(count(&mock, "PUT /data/multipart?uploadId=u%2F1&partNumber=2"), 3);
    assert_eq!(count(&mock, "PUT /data/multipart?uploadId=u%2F1&partNumber=1"), 1);
    let complete = mock.requests().pop().unwrap();
    assert_eq!(complete.header("authorization"), "Bearer token-1", "every step reads the token anew");
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_counts_if_the_data_is_there() {
    for (size, ok) in [(2000, true), (1999, false)] {
        let completions = AtomicUsize::new(0);
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "POST /data/multipart?uploadId=u%2F1" => match completions.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::status(502),
                _ => Reply::status(404),
            },
            line if line.starts_with("GET /data?") && completions.load(Ordering::SeqCst) > 0 => Reply::json(&json!({"data": [{"id": A, "name": format!("out_a_{TASK}"), "data_type": "binary", "size": size}]}),),
            _ => ordinary(seen, 1, json!(400)),
        })
        .await;
        let stored = bench(mock.address(), small_buffer()).put("a", &noise(2000), 500).await;
        assert_eq!(stored.map(|artifact| artifact.id == Some(A.to_owned())).unwrap_or(false), ok, "{size}");
    }
}

#[tokio::test]
async fn an_existing_id_that_a_session_does_not_find_is_created_anew() {
    // With and without a server that says that it has sessions.
    for info in [true, false] {
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "GET /api/v1/info" if !info => Reply::status(404),
            line if line.starts_with("GET /data") => {
                let name = seen.target.split("name=").nth(1).unwrap().split('&').next().unwrap();
                Reply::json(&json!({"data": [{"id": A, "name": name, "data_type": "binary"}]}))
            }
            "POST /data/multipart?uploads" if !seen.json()["existing_id"].is_null() => Reply::status(404),
            _ => ordinary(seen, 1, json!(400)),
        })
        .await;
        let bench = bench(mock.address(), small_buffer());
        let artifact = bench.put("a", &noise(2000), 500).await.unwrap();
        assert_eq!(artifact.id.as_deref(), Some(B), "the new id");
        let begun: Vec<_> =
            mock.requests().into_iter().filter(|seen| seen.target.ends_with("?uploads")).collect();
        assert_eq!(begun.len(), 2, "info: {info}");
        assert_eq!(begun[0].json()["existing_id"], A);
        assert_eq!(begun[1].json()["existing_id"], Value::Null);
        bench.client.close().await;

        // An id that the runner gave must not turn into new data.
        let spec = ArtifactSpec { path: "b".into(), existing_id: Some(A.into()), ..Default::default() };
        let mut writer = bench.ports.outputs.create(spec).await.unwrap();
        let wrote = writer.write(noise(2000).into()).await;
        if info {
            assert_eq!(wrote.unwrap_err().kind, PortErrorKind::NotFound);
        }
        assert!(!mock.requests().iter().skip(begun.len()).any(|seen| {
            seen.target.ends_with("?uploads")
                && seen.json()["name"].as_str().unwrap_or("").contains("b_")
                && seen.json()["existing_id"].is_null()
        }));
    }
}
