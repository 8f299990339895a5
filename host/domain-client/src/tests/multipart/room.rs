//! Parts that wait: in memory, in files, for room.

use super::*;

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
        // On a busy machine fewer may meet.
        let met = most_parts_in_flight(&mock);
        assert!((1..=most).contains(&met), "{met} parts in flight, with room for {room}");
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
