//! Tokens, retries, and what is known of servers.

use super::*;
use posemesh_runner_api::ports::PortErrorKind;

#[tokio::test]
async fn a_refused_token_is_replaced_by_the_next_heartbeats() {
    let mock = MockServer::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => form(whole(&[part(A, b"x")])),
        _ => Reply::status(401),
    })
    .await;
    let bench = bench(mock.address(), settings());
    let heartbeats = async {
        bench.token.refresh_wanted().await;
        bench.token.rotate(Secret::new("token-1"));
    };
    let (parts, ()) = tokio::join!(bench.read_all(A), heartbeats);
    assert_eq!(parts.unwrap().len(), 1);
    assert_eq!(mock.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_stays_refused_is_denied() {
    let mock = MockServer::start(|_, _| Reply::status(401)).await;
    let bench = bench(mock.address(), settings());
    let error = bench.open(A).await.err().unwrap();
    assert!(matches!(error, PortError { kind: PortErrorKind::Denied, .. }), "{error:?}");
    assert_eq!(mock.requests().len(), 1, "the same token is not tried twice");

    // Newer tokens that are refused as well do not make it go on for ever.
    let heartbeats = async {
        for n in 1.. {
            bench.token.refresh_wanted().await;
            bench.token.rotate(Secret::new(format!("token-{n}")));
        }
    };
    let error = tokio::select! {
        opened = bench.open(A) => opened.err().unwrap(),
        () = heartbeats => unreachable!(),
    };
    assert!(matches!(error, PortError { kind: PortErrorKind::Denied, .. }), "{error:?}");
}

#[tokio::test]
async fn without_a_token_no_request_is_made() {
    let mock = MockServer::start(|_, _| Reply::status(500)).await;
    for token in [None, Some(Secret::new("")), Some(Secret::new("a\nb"))] {
        let token = Arc::new(TaskToken::new(token));
        let bench = bench_with(mock.address(), settings(), |lease| lease.token = token);
        let error = bench.open(A).await.err().unwrap();
        assert!(matches!(error, PortError { kind: PortErrorKind::Denied, .. }), "{error:?}");
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_would_see_the_token_in_the_clear_is_refused() {
    let mock = MockServer::start(|_, _| Reply::status(500)).await;
    let bench = bench_with(mock.address(), settings(), |lease| {
        lease.base_url = "http://ds.example/".parse().unwrap();
    });
    assert!(matches!(bench.open(A).await, Err(PortError { kind: PortErrorKind::Denied, .. })));
    assert!(matches!(
        bench.put("a.json", b"{}", 9).await,
        Err(PortError { kind: PortErrorKind::Denied, .. })
    ));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_not() {
    for (status, tries) in [(503, 3), (500, 3), (408, 3), (429, 3), (501, 1), (403, 1), (418, 1)] {
        let mock = MockServer::start(move |_, before| match before {
            0 | 1 => Reply::status(status),
            _ => form(whole(&[part(A, b"x")])),
        })
        .await;
        let opened = bench(mock.address(), settings()).read_all(A).await;
        assert_eq!(opened.is_ok(), tries == 3, "{status}: {opened:?}");
        assert_eq!(mock.requests().len(), tries, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_bound() {
    for (asked, at_least, at_most) in [("1", 1000, 10_000), ("86400", 1500, 10_000)] {
        let mock = MockServer::start(move |_, before| match before {
            0 => Reply::status(429).header("retry-after", asked),
            _ => form(whole(&[part(A, b"x")])),
        })
        .await;
        let mut settings = settings();
        settings.requests.retry.retry_after_max = Duration::from_millis(1500);
        let started = std::time::Instant::now();
        bench(mock.address(), settings).read_all(A).await.unwrap();
        let waited = started.elapsed().as_millis();
        assert!((at_least..at_most).contains(&waited), "{asked} s were asked for, {waited} ms waited");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = bench(address, settings()).open(A).await.err().unwrap();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Unavailable, text, .. } if text.contains("connect")),
        "{error:?}"
    );
}

#[tokio::test]
async fn upload_info_is_asked_once_whether_it_is_there_or_not() {
    for status in [200, 404, 500] {
        let mock = MockServer::start(move |seen, _| match line(seen).as_str() {
            "GET /api/v1/info" if status != 200 => Reply::status(status),
            _ => ordinary(seen, 0, json!(5)),
        })
        .await;
        let bench = bench(mock.address(), settings());
        let one = bench.put("a.json", b"{}", 9);
        let (one, two) = tokio::join!(one, bench.put("b.json", b"{}", 9));
        one.and(two).unwrap();
        let asked = lines(&mock).iter().filter(|line| line.ends_with("/info")).count();
        assert_eq!(
            asked,
            if status == 500 { 2 } else { 1 },
            "{status}: a failure is tried twice, then remembered"
        );
    }
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused() {
    for settings in [
        changed(settings(), |settings| settings.client_id = "a\nb".to_owned()),
        changed(settings(), |settings| settings.client_id = String::new()),
        changed(settings(), |settings| settings.uploads.parallelism = 0),
        changed(settings(), |settings| settings.uploads.max_part_size = 0),
    ] {
        assert!(matches!(DomainClient::new(settings), Err(DomainError::Settings(_))));
    }
}
