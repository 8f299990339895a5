//! Artifacts that may not replace everything, and data that comes under their names while they are made.

use posemesh_runner_api::ports::PortErrorKind;
use posemesh_runner_api::replace::Replaceable;

use super::*;

/// A server that finds data of four bytes under the artifact's name from the look-up with this number on, and answers to
/// creates and begins with these statuses, one after the other.
async fn server(found_from: usize, statuses: &'static [u16]) -> MockServer {
    let found = json!({"data": [{"id": A, "name": "c", "data_type": "binary", "size": 4}]});
    looking_up(found_from, move || Reply::json(&found), statuses).await
}

/// The same with this answer to look-ups from that one on.
async fn looking_up(
    from: usize,
    found: impl Fn() -> Reply + Send + Sync + 'static,
    statuses: &'static [u16],
) -> MockServer {
    let (lookups, creates) = (AtomicUsize::new(0), AtomicUsize::new(0));
    MockServer::start(move |seen, _| match line(seen) {
        line if line.starts_with("GET /data?") && lookups.fetch_add(1, Ordering::SeqCst) >= from => found(),
        line if line == "POST /data" || line.ends_with("?uploads") => {
            match statuses.get(creates.fetch_add(1, Ordering::SeqCst)) {
                Some(status) => Reply::status(*status),
                None => ordinary(seen, 0, json!(400)),
            }
        }
        _ => ordinary(seen, 0, json!(400)),
    })
    .await
}

/// Stores an artifact that may replace only what passes.
async fn store(bench: &Bench, size: usize, may: fn(&str) -> bool) -> Result<Artifact, PortError> {
    let spec = ArtifactSpec { path: "c".into(), name: Some("c".into()), ..ArtifactSpec::default() };
    let mut writer = bench.ports.outputs.create_within(spec, Replaceable::only(may)).await?;
    writer.write(noise(size).into()).await?;
    writer.finish().await
}

/// All requests but those that only ask.
fn changes(mock: &MockServer) -> Vec<String> {
    lines(mock).into_iter().filter(|line| !line.starts_with("GET")).collect()
}

fn small_buffer() -> DomainSettings {
    changed(settings(), |settings| settings.uploads.buffer_bytes = 1000)
}

#[tokio::test]
async fn data_that_comes_under_the_name_while_the_artifact_is_written_is_not_replaced() {
    let is_there = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let there = Arc::clone(&is_there);
    let mock = MockServer::start(move |seen, _| {
        let looks = line(seen).starts_with("GET /data?");
        match (looks && there.load(Ordering::SeqCst), line(seen) == "POST /data") {
            (true, _) => Reply::json(&json!({"data": [{"id": A, "name": "c", "data_type": "binary"}]})),
            (_, true) => Reply::status(409),
            _ => ordinary(seen, 0, json!(5)),
        }
    })
    .await;
    let bench = bench(mock.address(), settings());
    let spec = ArtifactSpec { path: "c".into(), name: Some("c".into()), ..ArtifactSpec::default() };
    let mut writer = bench.ports.outputs.create_within(spec, Replaceable::only(|_| false)).await.unwrap();
    writer.write(Bytes::from_static(b"1234")).await.unwrap();
    // An answer to a look-up at the begin would be there by now.
    tokio::time::sleep(SHORTLY).await;
    is_there.store(true, Ordering::SeqCst);
    let error = writer.finish().await.unwrap_err();
    assert!(error.kind == PortErrorKind::Denied && error.text.contains(A), "{error:?}");
    assert!(changes(&mock).is_empty(), "nothing was stored: {:?}", lines(&mock));
}

#[tokio::test]
async fn data_that_comes_between_the_look_up_and_the_create_is_not_replaced() {
    // In one request, and in parts.
    for size in [4, 2000] {
        let mock = server(1, &[409]).await;
        let bench = bench(mock.address(), small_buffer());
        let error = store(&bench, size, |_| false).await.unwrap_err();
        assert!(error.kind == PortErrorKind::Denied && error.text.contains(A), "{error:?}");
        assert_eq!(changes(&mock).len(), 1, "only what was refused: {:?}", lines(&mock));
        assert!(bench.ports.outputs.finished().is_empty());

        let mock = server(1, &[409]).await;
        let bench = self::bench(mock.address(), small_buffer());
        store(&bench, size, |id| id == A).await.unwrap();
        assert!(changes(&mock).len() > 1, "what it may replace is replaced: {:?}", lines(&mock));
    }
}

#[tokio::test]
async fn data_that_comes_while_parts_are_sent_is_not_replaced_by_the_whole() {
    let mock = server(1, &[]).await;
    let bench = bench(mock.address(), small_buffer());
    let error = store(&bench, 2000, |_| false).await.unwrap_err();
    assert!(error.kind == PortErrorKind::Denied && error.text.contains(A), "{error:?}");
    bench.ports.outputs.wait_for_aborts().await;
    let changes = changes(&mock);
    assert!(!changes.iter().any(|line| line.starts_with("POST /data/multipart?uploadId")), "{changes:?}");
    assert!(changes.iter().any(|line| line.starts_with("DELETE")), "the session is aborted: {changes:?}");
    // What it may replace it may still find there.
    let mock = server(1, &[]).await;
    let bench = self::bench(mock.address(), small_buffer());
    store(&bench, 2000, |id| id == A).await.unwrap();
}

#[tokio::test]
async fn data_of_a_create_whose_answer_was_lost_is_the_artifacts_own() {
    let mock = server(1, &[503, 409]).await;
    let bench = bench(mock.address(), settings());
    let artifact = store(&bench, 4, |_| false).await.unwrap();
    assert_eq!(artifact.id.as_deref(), Some(A));
    assert_eq!(changes(&mock), ["POST /data", "POST /data", "PUT /data"]);
}

#[tokio::test]
async fn data_of_another_that_a_repeated_create_meets_is_not_replaced() {
    // Of another size than the artifact, and of one that the server does not say.
    let unsized_data = || Reply::json(&json!({"data": [{"id": A, "name": "c", "data_type": "binary"}]}));
    for (mock, size) in
        [(server(1, &[503, 409]).await, 5), (looking_up(1, unsized_data, &[503, 409]).await, 4)]
    {
        let bench = bench(mock.address(), settings());
        let error = store(&bench, size, |_| false).await.unwrap_err();
        assert!(error.kind == PortErrorKind::Denied && error.text.contains(A), "{error:?}");
        assert_eq!(changes(&mock), ["POST /data", "POST /data"]);
    }
}

#[tokio::test]
async fn data_that_a_repeated_begin_of_a_session_meets_is_never_the_artifacts_own() {
    // Of the same size, and of another.
    for size in [2000, 3000] {
        let found = json!({"data": [{"id": A, "name": "c", "data_type": "binary", "size": 2000}]});
        let mock = looking_up(1, move || Reply::json(&found), &[503, 409]).await;
        let bench = bench(mock.address(), small_buffer());
        let error = store(&bench, size, |_| false).await.unwrap_err();
        assert!(error.kind == PortErrorKind::Denied && error.text.contains(A), "{error:?}");
        assert_eq!(changes(&mock).len(), 2, "only what was refused: {:?}", lines(&mock));
    }
}

#[tokio::test]
async fn a_session_whose_name_can_not_be_looked_up_once_more_is_not_completed() {
    let mock = looking_up(1, || Reply::status(503), &[]).await;
    let bench = bench(mock.address(), small_buffer());
    let error = store(&bench, 2000, |_| false).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error:?}");
    bench.ports.outputs.wait_for_aborts().await;
    let changes = changes(&mock);
    assert!(!changes.iter().any(|line| line.starts_with("POST /data/multipart?uploadId")), "{changes:?}");
    assert!(changes.iter().any(|line| line.starts_with("DELETE")), "the session is aborted: {changes:?}");
}
