//! Artifacts in parts, and servers without sessions.

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
    tokio::time::timeout(Duration::from_secs(10), bench.put("a", &bytes, 50))
        .await
        .expect("three at once")
        .unwrap();
    assert_eq!(most_parts_in_flight(&mock), 3);
    assert!(parts(&mock).0.concat() == bytes, "other bytes arrived");
}

#[tokio::test]
async fn parts_that_do_not_fit_into_memory_wait_in_files() {
    const PART: usize = 300 << 10;
    let bytes = noise(7 * PART);
    // Room on the disk for so many parts; more are not in flight then, but it goes on.
    for (room, most) in [(8, 3), (2, 1), (1, 1)] {
        let mock = MockServer::start(|seen, _| ordinary(seen, 1, json!(PART)).after(SHORTLY)).await;
        let settings = changed(small_buffer(), |settings| {
            settings.uploads.memory_bytes = 3 * PART;
            settings.uploads.parallelism = 3;
        });
        let bench = bench(mock.address(), settings);
        bench.disk.set_limit((room * PART) as u64);
        bench.put("a", &bytes, 100_000).await.unwrap();
        assert!(parts(&mock).0.concat() == bytes, "other bytes arrived");
        assert_eq!(most_parts_in_flight(&mock), most, "room for {room} parts");
        assert_eq!(bench.disk.used(), 0, "room for {room} parts: all of it is released");
    }
    let mock = MockServer::start(|seen, _| ordinary(seen, 1, json!(PART))).await;
    let bench =
        bench(mock.address(), changed(small_buffer(), |settings| settings.uploads.memory_bytes = PART));
    bench.disk.set_limit(PART as u64 - 1);
    let error = bench.put("a", &bytes, 100_000).await.unwrap_err();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Limit, text, .. } if text.contains("scratch_bytes")),
        "{error:?}"
    );
    bench.client.close().await;
    assert_eq!(lines(&mock).last().unwrap(), DELETE);
    assert_eq!(bench.disk.used(), 0);
}

#[tokio::test]
async fn artifacts_that_are_open_together_share_the_memory() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 0, json!(5))).await;
    let bench =
        bench(mock.address(), changed(settings(), |settings| settings.uploads.memory_bytes = 64 << 10));
    let bytes = noise(50_000);
    let mut writers = Vec::new();
    for n in 0..20 {
        let spec = ArtifactSpec { path: format!("{n}"), ..Default::default() };
        writers.push(bench.ports.outputs.create(spec).await.unwrap());
    }
    for piece in bytes.chunks(999) {
        for writer in &mut writers {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
    }
    // A file gets what did not fit into memory.
    let on_disk = usize::try_from(bench.disk.used()).unwrap();
    assert!((20 * 50_000 - (64 << 10)..20 * 50_000).contains(&on_disk), "{on_disk}");
    for writer in writers {
        writer.finish().await.unwrap();
    }
    let stored = mock.requests().into_iter().filter(|seen| seen.method == "POST");
    let whole = |body: &[u8]| body.windows(bytes.len()).any(|window| window == bytes);
    assert_eq!(stored.filter(|seen| whole(&seen.body)).count(), 20);
    assert_eq!(bench.disk.used(), 0);
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
async fn senseless_part_sizes_are_refused_and_the_session_is_aborted() {
    for size in
        [json!(0), json!(-1), json!(1.5), json!("5"), json!(null), json!((1_u64 << 30) + 1), json!(u64::MAX)]
    {
        let said = size.clone();
        let mock = MockServer::start(move |seen, _| ordinary(seen, 1, said.clone())).await;
        let bench = bench(mock.address(), small_buffer());
        let error = bench.put("a", &noise(2000), 500).await.unwrap_err();
        assert!(
            matches!(&error, PortError { kind: PortErrorKind::Other, text, .. } if text.contains("parts of")),
            "{size}: {error:?}"
        );
        bench.client.close().await;
        assert_eq!(lines(&mock).last().unwrap(), DELETE, "{size}");
    }
}

#[tokio::test]
async fn failures_on_the_way_abort_the_session() {
    for (failing, status) in [("partNumber=2", 403), ("partNumber=2", 500), ("?uploadId=u%2F1", 409)] {
        let mock = MockServer::start(move |seen, _| {
            match seen.target.ends_with(failing) && seen.method != "DELETE" {
                true => Reply::status(status),
                false => ordinary(seen, 1, json!(400)),
            }
        })
        .await;
        let bench = bench(mock.address(), small_buffer());
        assert!(bench.put("a", &noise(2000), 500).await.is_err(), "{failing} {status}");
        bench.client.close().await;
        assert_eq!(lines(&mock).last().unwrap(), DELETE, "{failing} {status}");
        assert!(bench.ports.outputs.finished().is_empty());
    }
}

#[tokio::test]
async fn dropping_an_unfinished_artifact_aborts_its_session() {
    let mock = MockServer::start(|seen, _| match seen.method.as_str() {
        "PUT" => Reply::never(),
        _ => ordinary(seen, 1, json!(400)),
    })
    .await;
    let bench = bench(mock.address(), small_buffer());
    let mut writer =
        bench.ports.outputs.create(ArtifactSpec { path: "a".into(), ..Default::default() }).await.unwrap();
    writer.write(noise(1500).into()).await.unwrap();
    // The last thing that held the runtime may be a thread of its own.
    std::thread::spawn(move || drop(writer)).join().unwrap();
    bench.client.close().await;
    assert_eq!(lines(&mock).last().unwrap(), DELETE);

    // Also when it is dropped while the session is only beginning.
    let gate = Arc::new(Barrier::new(2));
    let mock = begins_at(&gate).await;
    let bench = self::bench(mock.address(), small_buffer());
    let put = bench.put("a", &[0; 2000], 2000);
    assert!(tokio::time::timeout(Duration::from_millis(100), put).await.is_err());
    gate.wait().await;
    bench.client.close().await;
    assert_eq!(lines(&mock).last().unwrap(), DELETE);
}

#[tokio::test]
async fn a_stop_ends_a_write_that_waits_and_aborts_the_session() {
    let mock = MockServer::start(|seen, _| match seen.method.as_str() {
        "PUT" => Reply::never(),
        _ => ordinary(seen, 1, json!(10)),
    })
    .await;
    let bench = bench(mock.address(), small_buffer());
    let stop = bench.stop.clone();
    let (put, ()) = tokio::join!(bench.put("a", &[0; 2000], 2000), async {
        eventually("parts are under way", || count(&mock, "PUT") > 0).await;
        stop.cancel();
    });
    assert_eq!(put, Err(PortError::cancelled()));
    bench.client.close().await;
    assert_eq!(lines(&mock).last().unwrap(), DELETE);
}

#[tokio::test]
async fn a_server_without_sessions_gets_the_artifact_from_a_private_file() {
    for status in [404, 405, 501] {
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "POST /data/multipart?uploads" => Reply::status(status),
            "GET /api/v1/info" => Reply::status(404),
            _ => ordinary(seen, 0, json!(1)),
        })
        .await;
        let bench =
            bench(mock.address(), changed(small_buffer(), |settings| settings.uploads.memory_bytes = 0));
        let bytes = noise(500_000);
        let artifact = bench.put("a", &bytes, 40_000).await.unwrap();
        assert_eq!(artifact.size, 500_000);
        let post = mock.requests().pop().unwrap();
        assert_eq!(line(&post), "POST /data");
        assert_eq!(post.header("content-length"), post.body.len().to_string());
        assert!(
            post.body.windows(bytes.len()).any(|window| window == bytes),
            "{status}: other bytes arrived"
        );
        assert_eq!(std::fs::read_dir(bench.disk.path()).unwrap().count(), 0, "the file has no name");
        assert_eq!(bench.disk.used(), 0, "the file is gone");

        bench.disk.set_limit(400_000);
        let error = bench.put("b", &bytes, 40_000).await.unwrap_err();
        assert!(
            matches!(&error, PortError { kind: PortErrorKind::Limit, text, .. } if text.contains("400000")),
            "{error:?}"
        );
        assert_eq!(bench.disk.used(), 0);
    }
}

#[tokio::test]
async fn what_a_server_takes_in_no_way_is_a_limit() {
    let info = |enabled: bool| {
        Reply::json(&json!({"upload": {"request_max_bytes": 5000, "multipart": {"enabled": enabled}}}))
    };
    for (length, enabled, starts) in [(4500, false, 0), (6000, false, 0), (6000, true, 1)] {
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "GET /api/v1/info" => info(enabled),
            "POST /data/multipart?uploads" => Reply::status(501),
            _ => ordinary(seen, 0, json!(1)),
        })
        .await;
        let bench = bench(mock.address(), small_buffer());
        let stored = bench.put("a", &noise(length), 500).await;
        match &stored {
            Ok(_) => assert!(length < 5000, "{length}"),
            Err(PortError { kind: PortErrorKind::Limit, text, .. }) => {
                assert!(length > 5000 && text.contains("5000"), "{text}")
            }
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(count(&mock, "POST /data/multipart?uploads"), starts);
        assert_eq!(
            count(&mock, "POST /data") - starts,
            usize::from(stored.is_ok()),
            "refused before it is sent"
        );
    }
}

#[tokio::test]
async fn a_refusal_for_size_leads_to_a_session() {
    for sessions in [true, false] {
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "POST /data" => Reply::status(413),
            "POST /data/multipart?uploads" if !sessions => Reply::status(501),
            _ => ordinary(seen, 0, json!(300)),
        })
        .await;
        let stored = bench(mock.address(), settings()).put("a", &noise(900), 900).await;
        match stored {
            Ok(_) => assert!(sessions && parts(&mock).0.len() == 3),
            Err(PortError { kind: PortErrorKind::Limit, text, .. }) => {
                assert!(!sessions && text.contains("413"), "{text}")
            }
            Err(other) => panic!("{other:?}"),
        }
    }
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
async fn what_a_server_says_of_parts_and_artifacts_is_kept_only_if_it_is_short() {
    let endless = "e".repeat(60_000);
    let said = endless.clone();
    let mock = MockServer::start(move |seen, _| match seen.method == "PUT" {
        true => Reply::json(&json!({"etag": said})),
        false => ordinary(seen, 1, json!(400)),
    })
    .await;
    let error = bench(mock.address(), small_buffer()).put("a", &noise(2000), 500).await.unwrap_err();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Other, text, .. } if text.contains("etag")),
        "{error:?}"
    );

    // More than an answer can have; and what is not needed may be anything.
    for (answer, stored) in [
        (json!({"data": [{"id": A, "updated_at": endless}]}), true),
        (json!({"data": [{"id": A, "updated_at": 7, "name": {}, "size": "many"}]}), true),
        (json!({"data": [{"id": A, "updated_at": "e".repeat(70_000)}]}), false),
        (json!({"data": vec![json!({}); 2000]}), false),
    ] {
        let mock = MockServer::start(move |seen, _| match seen.method == "POST" {
            true => Reply::json(&answer.clone()),
            false => ordinary(seen, 0, json!(1)),
        })
        .await;
        let put = bench(mock.address(), settings()).put("a", b"x", 1).await;
        assert_eq!(put.is_ok(), stored, "{put:?}");
    }
}

#[tokio::test]
async fn artifacts_of_a_task_wait_for_each_others_room_on_the_disk() {
    const PART: usize = 400 << 10;
    let mock = MockServer::start(|seen, _| ordinary(seen, 1, json!(PART)).after(SHORTLY)).await;
    // Memory for what waits until its session has begun; parts of sessions go to the disk.
    let settings = changed(small_buffer(), |settings| {
        settings.uploads.memory_bytes = 1100 << 10;
        settings.uploads.parallelism = 2;
    });
    let bench = bench(mock.address(), settings);
    bench.disk.set_limit(PART as u64);
    let bytes = noise(PART);
    let spec = ArtifactSpec { path: "a".into(), ..Default::default() };
    let mut a = bench.ports.outputs.create(spec).await.unwrap();
    a.write(bytes.clone().into()).await.unwrap();
    assert_eq!(bench.disk.used(), PART as u64, "a's part is under way and takes all there is");
    bench.put("b", &bytes, PART).await.unwrap();
    a.finish().await.unwrap();
    assert_eq!((most_parts_in_flight(&mock), bench.disk.used()), (1, 0));
}

#[tokio::test]
async fn waiting_for_aborts_waits_for_a_session_that_is_just_beginning() {
    let gate = Arc::new(Barrier::new(2));
    let mock = begins_at(&gate).await;
    let bench = bench(mock.address(), small_buffer());
    let put = bench.put("a", &[0; 2000], 2000);
    assert!(tokio::time::timeout(Duration::from_millis(100), put).await.is_err());
    tokio::join!(bench.ports.outputs.wait_for_aborts(), gate.wait());
    assert_eq!(lines(&mock).last().unwrap(), DELETE);
}

#[tokio::test]
async fn a_known_size_that_needs_too_many_parts_is_refused_before_the_first() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 500, json!(1))).await;
    let bench =
        bench(mock.address(), changed(settings(), |settings| settings.uploads.buffer_bytes = 1 << 20));
    let error = bench.put("a", &noise(10_001), 20_000).await.unwrap_err();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Other, text, .. } if text.contains("10000 parts")),
        "{error:?}"
    );
    assert_eq!(count(&mock, "PUT"), 0);
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
