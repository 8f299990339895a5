//! Sessions that are not completed are aborted.

use super::*;

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
async fn waiting_for_aborts_waits_for_a_session_that_is_just_beginning() {
    let gate = Arc::new(Barrier::new(2));
    let mock = begins_at(&gate).await;
    let bench = bench(mock.address(), small_buffer());
    let put = bench.put("a", &[0; 2000], 2000);
    assert!(tokio::time::timeout(Duration::from_millis(100), put).await.is_err());
    tokio::join!(bench.ports.outputs.wait_for_aborts(), gate.wait());
    assert_eq!(lines(&mock).last().unwrap(), DELETE);
}
