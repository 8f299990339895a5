//! Downloads that go as they should, and servers that do not.

use super::*;
use posemesh_runner_api::failure::Blame;
use posemesh_runner_api::ports::PortErrorKind;

#[tokio::test]
async fn bytes_reach_the_runner_while_the_server_still_sends() {
    let (sender, receiver) = mpsc::channel(4);
    let receiver = Mutex::new(Some(receiver));
    let mock =
        MockServer::start(move |_, _| Reply::stream(FORM, receiver.lock().unwrap().take().unwrap())).await;
    let bench = bench(mock.address(), settings());
    let all = part(A, b"hello world");
    let (start, rest) = all.split_at(all.len() - 8);
    sender.send(Ok(Bytes::copy_from_slice(start))).await.unwrap();

    let mut stream = bench.open(A).await.unwrap();
    let info = stream.next_part().await.unwrap().unwrap();
    assert_eq!((info.data_id.as_str(), info.name.as_str(), info.size), (A, "scan", 11));
    assert_eq!((info.domain_id.as_str(), info.updated_at.as_deref()), (DOMAIN, Some("2026-01-02T03:04:05Z")));
    assert_eq!(stream.read(4).await.unwrap(), "hell");
    assert_eq!(stream.read(4).await.unwrap(), "o");

    sender.send(Ok(Bytes::copy_from_slice(rest))).await.unwrap();
    sender.send(Ok(Bytes::from_static(b"--B--\r\n"))).await.unwrap();
    drop(sender);
    assert_eq!(read_part(stream.as_mut(), 4).await.unwrap(), b" world");
    assert_eq!(stream.next_part().await.unwrap(), None);
    assert_eq!(stream.next_part().await.unwrap(), None, "the end stays the end");

    let seen = &mock.requests()[0];
    assert_eq!(line(seen), format!("GET /data?ids={A}"));
    assert_eq!(seen.header("authorization"), "Bearer token-0");
    assert_eq!(seen.header("accept"), "multipart/form-data");
    assert_eq!(seen.header("posemesh-client-id"), "node-1");
    assert_eq!(bench.ports.traffic.bytes_in(), (all.len() + 7) as u64);
}

#[tokio::test]
async fn parts_come_in_the_servers_order_and_what_is_left_of_one_is_skipped() {
    let body = whole(&[part(B, &noise(700_000)), part(A, b"\r\n--B--\r\n")]);
    let mock = MockServer::start(move |_, _| form(body.clone())).await;
    let bench = bench(mock.address(), settings());
    let mut stream = bench.open(&format!("/api/v1/domains/{DOMAIN}/data?ids={A},{B}")).await.unwrap();
    assert!(
        matches!(stream.read(1).await, Err(PortError { kind: PortErrorKind::Invalid, .. })),
        "there is no part to read yet"
    );
    assert_eq!(stream.next_part().await.unwrap().unwrap().data_id, B);
    assert_eq!(stream.read(5).await.unwrap(), noise(700_000)[..5]);
    assert_eq!(stream.next_part().await.unwrap().unwrap().data_id, A);
    assert_eq!(read_part(stream.as_mut(), 9).await.unwrap(), b"\r\n--B--\r\n");
    assert_eq!(stream.read(9).await.unwrap(), "", "the end of a part stays its end");
    assert_eq!(stream.next_part().await.unwrap(), None);
}

#[tokio::test]
async fn a_runner_that_does_not_read_holds_the_server_back_and_dropping_ends_it() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let mock =
        MockServer::start(move |_, _| Reply::stream(FORM, receiver.lock().unwrap().take().unwrap())).await;
    let bench = bench(mock.address(), settings());
    let head = String::from_utf8(part(A, b"")).unwrap().replace("size=\"0\"", "size=\"1000000000\"");
    sender.send(Ok(Bytes::from(head.trim_end().to_owned() + "\r\n\r\n"))).await.unwrap();
    let stream = bench.open(A).await.unwrap();

    let mut sent = 0_usize;
    let chunk = Bytes::from(vec![0; 1 << 20]);
    while let Ok(done) =
        tokio::time::timeout(Duration::from_millis(300), sender.send(Ok(chunk.clone()))).await
    {
        done.unwrap();
        sent += chunk.len();
        assert!(sent < 64 << 20, "{sent} bytes were taken though nobody reads");
    }
    assert!(bench.ports.traffic.bytes_in() < 8 << 20, "only a few chunks wait in memory");
    drop(stream);
    eventually("the connection is closed", || sender.is_closed()).await;
}

#[tokio::test]
async fn a_cid_of_another_host_is_asked_for_at_the_leases_server() {
    let other = MockServer::start(|_, _| Reply::status(500)).await;
    let mock = MockServer::start(|_, _| form(whole(&[part(A, b"x")]))).await;
    let bench = bench(mock.address(), settings());
    let cids = [
        format!("http://{}/api/v1/domains/{DOMAIN}/data/{A}", other.address()),
        format!("https://{}/api/v1/domains/{DOMAIN}/data/{A}", mock.address()),
        format!("https://me:pw@old.example:8443/api/v1/domains/{DOMAIN}/data?ids={A}"),
        format!("//{}/api/v1/domains/{DOMAIN}/data/{A}", other.address()),
    ];
    for cid in &cids {
        assert_eq!(bench.read_all(cid).await.unwrap(), [(A.to_owned(), b"x".to_vec())], "{cid}");
    }
    assert_eq!(lines(&mock), vec![format!("GET /data?ids={A}"); cids.len()]);
    assert!(other.requests().is_empty(), "the token went to another server");
}

#[tokio::test]
async fn other_domains_are_refused_without_any_request() {
    let mock = MockServer::start(|_, _| Reply::status(500)).await;
    let bench = bench(mock.address(), settings());
    for (cid, denied) in [
        (format!("http://{}/api/v1/domains/{B}/data/{A}", mock.address()), true),
        (format!("https://other.example/api/v1/domains/{B}/data/{A}"), true),
        (format!("{A}&name=x"), false),
        (String::new(), false),
    ] {
        let error = bench.open(&cid).await.err().unwrap();
        assert_eq!(error.blame, Blame::Task, "{cid}: {error}");
        match error.kind {
            PortErrorKind::Denied => assert!(denied, "{cid}"),
            PortErrorKind::Invalid => assert!(!denied, "{cid}"),
            _ => panic!("{cid}: {error:?}"),
        }
    }
    assert!(mock.requests().is_empty(), "no request was to be made");
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for_are_errors() {
    let other_domain = String::from_utf8(part(A, b"x")).unwrap().replace(DOMAIN, B).into_bytes();
    let no_size = String::from_utf8(part(A, b"x")).unwrap().replace("size=\"1\"", "").into_bytes();
    for (body, corrupt) in [
        (whole(&[part(B, b"x")]), true),
        (whole(&[other_domain]), true),
        (whole(&[no_size]), true),
        (whole(&[part(A, b""), part(A, b"")]), true),
        (whole(&[part("x", b"")]), true),
        (b"--C--\r\n".to_vec(), true),
        (b"{}".to_vec(), true),
        (whole(&[]), false),
    ] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let mock = MockServer::start(move |_, _| form(body.clone())).await;
        let bench = bench(mock.address(), settings());
        match bench.read_all(A).await.unwrap_err() {
            PortError { kind: PortErrorKind::Corrupt, .. } => assert!(corrupt, "{shown}"),
            PortError { kind: PortErrorKind::NotFound, .. } => assert!(!corrupt, "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_id_that_the_server_leaves_out_is_missed() {
    let mock = MockServer::start(|_, _| form(whole(&[part(A, b"x")]))).await;
    let bench = bench(mock.address(), settings());
    let cid = format!("/api/v1/domains/{DOMAIN}/data?ids={A},{B}");
    match bench.read_all(&cid).await.unwrap_err() {
        PortError { kind: PortErrorKind::NotFound, text, .. } => assert!(text.contains(B), "{text}"),
        other => panic!("{other:?}"),
    }
    // The same is fine when a filter may have left it out, and what only resembles it is skipped.
    assert_eq!(bench.read_all(&format!("{cid}&name=scan")).await.unwrap().len(), 1);
    assert!(matches!(
        bench.read_all(&format!("{cid}&name=sca")).await,
        Err(PortError { kind: PortErrorKind::NotFound, .. })
    ));
}

#[tokio::test]
async fn statuses_reach_the_runner_in_words() {
    for (status, want) in [
        (404, PortErrorKind::NotFound),
        (403, PortErrorKind::Denied),
        (413, PortErrorKind::Limit),
        (400, PortErrorKind::Invalid),
        (503, PortErrorKind::Unavailable),
    ] {
        let text = "invalid domain access token\r\nfor token-0".as_bytes();
        let mock = MockServer::start(move |seen, _| {
            // An answer that quotes the token must not bring it into an error.
            let text = if seen.target.contains(B) { text } else { &text[..29] };
            Reply::bytes("text/plain; charset=utf-8", Bytes::copy_from_slice(text)).with_status(status)
        })
        .await;
        let bench = bench(mock.address(), settings());
        let error = bench.open(A).await.err().unwrap();
        assert_eq!(error.kind, want, "{status}: {error}");
        assert_eq!(error.to_string().contains("invalid domain access token"), status < 500, "{error}");
        let error = bench.open(B).await.err().unwrap();
        assert!(!error.to_string().contains("token-0"), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = MockServer::start(|_, _| Reply::status(200)).await;
    let to = format!("http://{}/", elsewhere.address());
    let mock = MockServer::start(move |_, _| Reply::status(307).header("location", &to)).await;
    let error = bench(mock.address(), settings()).open(A).await.err().unwrap();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Other, text, .. } if text.contains("redirect")),
        "{error:?}"
    );
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn many_open_inputs_share_what_may_wait_and_none_waits_for_another() {
    let bytes = noise(1_500_000);
    let body = whole(&[part(A, &bytes)]);
    let mock = MockServer::start(move |_, _| form(body.clone())).await;
    for read_ahead in [0, 5] {
        let bench =
            bench(mock.address(), changed(settings(), |settings| settings.downloads.read_ahead = read_ahead));
        let mut streams = Vec::new();
        for _ in 0..6 {
            let mut stream = bench.open(A).await.unwrap();
            stream.next_part().await.unwrap().unwrap();
            streams.push(stream);
        }
        // The last is read while the others sit on whatever they could get.
        for stream in streams.iter_mut().rev() {
            assert!(read_part(stream.as_mut(), 100_000).await.unwrap() == bytes, "other bytes arrived");
        }
    }
}

#[tokio::test]
async fn an_answer_ends_with_its_closing_boundary_however_its_connection_ends() {
    for cut in [true, false] {
        let mock = MockServer::start(move |_, _| broken(&whole(&[part(A, b"hello")]), cut)).await;
        let bench = bench(mock.address(), settings());
        let read = bench.read_all(&format!("/api/v1/domains/{DOMAIN}/data?name=scan")).await.unwrap();
        assert_eq!(read, [(A.to_owned(), b"hello".to_vec())]);
        assert_eq!(mock.requests().len(), 1, "cut: {cut}");
    }
}

#[tokio::test]
async fn only_so_many_inputs_are_open_and_errors_name_the_one_at_fault() {
    // More than may wait for a runner that does not read.
    let body = whole(&[part(A, &noise(8 << 20))]);
    let mock = MockServer::start(move |seen, _| match seen.target.contains(A) {
        true => form(body.clone()),
        false => Reply::status(403),
    })
    .await;
    let bench = bench(mock.address(), changed(settings(), |settings| settings.downloads.max_open_inputs = 2));
    let mut first = bench.open(A).await.unwrap();
    let _second = bench.open(A).await.unwrap();
    assert!(
        matches!(bench.open(A).await.err(), Some(PortError { kind: PortErrorKind::Limit, text, .. }) if text.contains("2 inputs"))
    );
    first.next_part().await.unwrap();
    assert_eq!(read_part(first.as_mut(), 1 << 20).await.unwrap().len(), 8 << 20);
    // Its handle is still there, its download is over.
    drop(bench.open(A).await.unwrap());
    let error = bench.open(B).await.err().unwrap();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Denied, text, .. } if text.contains(B) && text.contains("403")),
        "{error:?}"
    );
}
