//! What servers do not take, do not have, or should not say.

use super::*;

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
