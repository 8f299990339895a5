//! Downloads that are cut, stall, or change under way.

use super::*;
use posemesh_runner_api::ports::PortErrorKind;

/// Answers the first request with a broken start of this, the others in full with `then`.
async fn broken_once(body: Vec<u8>, at: usize, cut: bool, then: Vec<u8>) -> MockServer {
    MockServer::start(move |_, before| match before {
        0 => broken(&body[..at], cut),
        _ => form(then.clone()),
    })
    .await
}

#[tokio::test]
async fn a_cut_at_any_byte_is_an_error_and_never_a_shorter_file() {
    let body = whole(&[part(A, b"some bytes\r\n--B")]);
    let head = part(A, b"").len() - 2;
    for at in 0..body.len() {
        let cut = body.clone();
        // The body ends early without any sign of it in HTTP, the worst case.
        let mock = MockServer::start(move |_, _| form(cut[..at].to_vec())).await;
        let bench = bench(mock.address(), changed(settings(), |settings| settings.downloads.max_resumes = 0));
        match bench.read_all(A).await {
            // Nothing but the closing boundary is missing, and the one part that was asked for is whole.
            Ok(parts) => {
                assert_eq!(parts[0].1, b"some bytes\r\n--B", "cut at {at}");
                assert!(at >= head + 15, "cut at {at}");
            }
            Err(PortError { kind: PortErrorKind::Corrupt, .. }) => {
                assert!(at < body.len() - 3, "cut at {at}")
            }
            Err(other) => panic!("cut at {at}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let (first, second) = (noise(300_000), noise(200_000));
    let body = whole(&[part(A, &first), part(B, &second)]);
    let cid = format!("/api/v1/domains/{DOMAIN}/data?ids={A},{B}");
    let borders = [0, 20, 200, 150_000, 300_190, 300_300, 400_000, body.len() - 2];
    for at in borders {
        // Only what is not through yet is asked for again.
        let full = body.clone();
        let only_second = whole(&[part(B, &second)]);
        let start = body[..at].to_vec();
        let mock = MockServer::start(move |seen, before| match before {
            0 => broken(&start, true),
            _ if seen.target.contains(A) => form(full.clone()),
            _ => form(only_second.clone()),
        })
        .await;
        let bench = bench(mock.address(), settings());
        let parts = bench.read_all(&cid).await.unwrap_or_else(|error| panic!("cut at {at}: {error}"));
        assert!(parts[0].1 == first && parts[1].1 == second, "cut at {at}: other bytes");
        assert_eq!(parts.len(), 2);
    }
}

#[tokio::test]
async fn what_changed_during_a_cut_is_not_mixed() {
    let body = part(A, b"0123456789");
    let at = body.len() - 4;
    for then in [
        part(A, b"x123456789"),
        part(A, b"0123456789 and more"),
        part_changed(A, b"0123456789", "2026-01-02T03:04:06Z"),
    ] {
        let mock = broken_once(body.clone(), at, true, whole(&[then])).await;
        let error = bench(mock.address(), settings()).read_all(A).await.unwrap_err();
        assert!(matches!(error, PortError { kind: PortErrorKind::Corrupt, .. }), "{error:?}");
    }
    // Gone altogether, and replaced by other data under the same name.
    for (then, cid) in [
        (whole(&[]), A.to_owned()),
        (whole(&[part(B, b"0123456789")]), format!("/api/v1/domains/{DOMAIN}/data?name=scan")),
    ] {
        let mock = broken_once(body.clone(), at, true, then).await;
        let error = bench(mock.address(), settings()).read_all(&cid).await.unwrap_err();
        assert!(matches!(error, PortError { kind: PortErrorKind::Corrupt, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_filter_without_ids_skips_what_was_delivered() {
    let body = whole(&[part(A, b"first"), part(B, b"second")]);
    let mock = broken_once(body.clone(), body.len() - 12, true, body).await;
    let parts = bench(mock.address(), settings()).read_all("/?name=scan").await.unwrap();
    assert_eq!(parts, [(A.to_owned(), b"first".to_vec()), (B.to_owned(), b"second".to_vec())]);
}

#[tokio::test]
async fn a_server_that_always_cuts_is_an_error() {
    let body = part(A, b"0123456789");
    let start = body[..body.len() - 4].to_vec();
    let mock = MockServer::start(move |_, _| broken(&start, true)).await;
    let error = bench(mock.address(), settings()).read_all(A).await.unwrap_err();
    assert!(matches!(error, PortError { kind: PortErrorKind::Corrupt, .. }), "{error:?}");
    assert_eq!(mock.requests().len(), 3, "one try and two more");
}

#[tokio::test]
async fn a_server_that_stalls_is_an_error() {
    let short = Duration::from_millis(100);
    let impatient = changed(settings(), |settings| {
        settings.requests.idle_timeout = short;
        settings.requests.first_byte_timeout = short;
    });
    for (sends, tries) in [(None, 3), (Some(10), 3), (Some(200), 3)] {
        let mock = MockServer::start(move |_, _| match sends {
            None => Reply::never(),
            Some(bytes) => broken(&part(A, &noise(500))[..bytes], false),
        })
        .await;
        let bench = bench(mock.address(), impatient.clone());
        let error = bench.read_all(A).await.unwrap_err();
        assert!(
            matches!(&error, PortError { kind: PortErrorKind::Unavailable, text, .. } if text.contains("no progress")),
            "{error:?}"
        );
        assert_eq!(mock.requests().len(), tries, "{sends:?}");
    }
}

#[tokio::test]
async fn a_stop_ends_a_read_that_waits() {
    let mock = MockServer::start(|_, _| broken(&part(A, &noise(500))[..300], false)).await;
    let bench = bench(mock.address(), settings());
    let mut stream = bench.open(A).await.unwrap();
    stream.next_part().await.unwrap();
    let stop = bench.stop.clone();
    let (read, ()) = tokio::join!(read_part(stream.as_mut(), 1000), async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stop.cancel();
    });
    assert_eq!(read, Err(PortError::cancelled()));
    assert!(matches!(bench.open(A).await, Err(PortError { kind: PortErrorKind::Cancelled, .. })));
}
