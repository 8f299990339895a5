//! Bytes from the client into the devnet.

use posemesh_devnet::{Devnet, Endpoint, SessionRecord, SessionStatus};
use serde_json::json;
use uuid::Uuid;

use crate::client::{Client, as_json, count, ids, items, lookalikes, noise, start};

/// Both of the client's commands for uploads: with data in memory, and as a stream of unknown length.
const WAYS: [&str; 2] = ["upload", "upload-stream"];

async fn assert_stored(devnet: &Devnet, id: Uuid, bytes: &[u8]) {
    let stored = devnet.read_data(id).await.expect("stored");
    // Not by `assert_eq!` of everything: a failure would print megabytes.
    assert_eq!(stored.len(), bytes.len(), "bytes of {id}");
    let other = stored.iter().zip(bytes).position(|(stored, sent)| stored != sent);
    assert_eq!(other, None, "the first byte of {id} that is another");
}

#[tokio::test]
async fn small_uploads_go_in_one_request_for_each_verb() {
    for way in WAYS {
        let devnet = start(|_| {}).await;
        let client = Client::new(&devnet);
        let [old, other] = ["old", "other"];
        let old = devnet.put_data(old, "ply", noise(100)).await.expect("stored");
        let other = devnet.put_data(other, "ply", noise(100)).await.expect("stored");
        let before = items(&devnet, &[old, other]);

        let sorts = [lookalikes(), Vec::new(), noise(1_000_000), b"\r\n".to_vec()];
        let files = sorts.each_ref().map(|bytes| client.file(bytes));
        let made = client
            .ok(&[
                &[way][..],
                &["create", "first: ä, 1", "json", &files[0], "create", "second", "bin", &files[1]],
                &["update", &old.to_string(), &files[2], "create", "third", "bin", &files[3]],
                &["update", &other.to_string(), &files[1]],
            ]
            .concat())
            .await;

        let made_ids = ids(&made);
        let all = items(&devnet, &made_ids);
        assert_eq!(made, as_json(&all), "{way}: the client reports the same metadata, creates first");
        let [first, second, third, updated, emptied] = made_ids[..] else { panic!("{way}: {made}") };
        assert_eq!((updated, emptied), (old, other));
        for (id, bytes) in [(first, 0), (second, 1), (updated, 2), (third, 3), (emptied, 1)] {
            assert_stored(&devnet, id, &sorts[bytes]).await;
        }
        let names: Vec<_> = all.iter().map(|item| (item.name.as_str(), item.data_type.as_str())).collect();
        let kept = [("old", "ply"), ("other", "ply")];
        assert_eq!(
            names,
            [&[("first: ä, 1", "json"), ("second", "bin"), ("third", "bin")], &kept[..]].concat()
        );
        assert_eq!(all[3].created_at, before[0].created_at, "{way}: an update is no new item");
        assert_eq!(devnet.list_data().len(), 5, "{way}");

        assert_eq!(count(&devnet, Endpoint::CreateData), 1, "{way}");
        assert_eq!(count(&devnet, Endpoint::UpdateData), 1, "{way}");
        assert!(devnet.multipart_sessions().is_empty(), "{way}");
        devnet.shutdown().await;
    }
}

/// Number and size of each part of a session.
fn sizes(session: &SessionRecord) -> Vec<(u32, u64)> {
    session.parts.iter().map(|part| (part.number, part.size)).collect()
}

#[tokio::test]
async fn what_is_too_large_for_a_request_goes_in_parts() {
    const PART: u64 = 1 << 20;
    for way in WAYS {
        let devnet = start(|config| {
            config.request_max_bytes = 2 << 20;
            config.part_size = PART;
        })
        .await;
        let client = Client::new(&devnet);
        let old = devnet.put_data("old", "ply", b"old").await.expect("stored");
        // In parts a text like the boundary has no meaning.
        let mut large = noise(5_000_003);
        large.splice(2_000_000..2_000_000, *b"\r\n--boundary--\r\n");
        let whole = noise(3 << 20);
        let (large_file, whole_file) = (client.file(&large), client.file(&whole));
        let small_file = client.file(b"small");
        let made = client
            .ok(&[
                &[way, "create", "before", "bin", &small_file, "create", "large", "bin", &large_file][..],
                &["update", &old.to_string(), &whole_file, "create", "after", "bin", &small_file],
            ]
            .concat())
            .await;

        let all = devnet.list_data();
        assert_eq!(all.len(), 4, "{way}: {made}");
        let find = |name: &str| all.iter().find(|item| item.name == name).expect("an item").id;
        let mut reported_ids = ids(&made);
        reported_ids.sort();
        let mut known: Vec<Uuid> = all.iter().map(|item| item.id).collect();
        known.sort();
        assert_eq!(reported_ids, known, "{way}: the client reports all");
        assert_eq!(made, as_json(&items(&devnet, &ids(&made))), "{way}");
        assert_stored(&devnet, find("large"), &large).await;
        assert_stored(&devnet, old, &whole).await;
        assert_stored(&devnet, find("before"), b"small").await;
        assert_stored(&devnet, find("after"), b"small").await;

        let sessions = devnet.multipart_sessions();
        let [created, updated] = &sessions[..] else { panic!("{way}: {sessions:?}") };
        assert_eq!((created.name.as_str(), created.data_type.as_str()), ("large", "bin"));
        assert_eq!((created.size, created.existing_id), (Some(large.len() as u64), None));
        assert_eq!(created.status, SessionStatus::Completed(find("large")));
        let last = large.len() as u64 - 4 * PART;
        assert_eq!(sizes(created), [(1, PART), (2, PART), (3, PART), (4, PART), (5, last)]);
        // For an update the client leaves name and type empty; the devnet keeps those it has.
        assert_eq!((updated.name.as_str(), updated.data_type.as_str()), ("", ""));
        assert_eq!((updated.size, updated.existing_id), (Some(3 << 20), Some(old)));
        assert_eq!(updated.status, SessionStatus::Completed(old));
        assert_eq!(sizes(updated), [(1, PART), (2, PART), (3, PART)], "the last part is a whole one");
        let old = &items(&devnet, &[old])[0];
        assert_eq!((old.name.as_str(), old.data_type.as_str()), ("old", "ply"), "{way}");
        devnet.shutdown().await;
    }
}

#[tokio::test]
async fn the_client_and_the_devnet_agree_on_what_fits() {
    const LIMIT: usize = 4000;
    for way in WAYS {
        let devnet = start(|config| config.request_max_bytes = LIMIT as u64).await;
        let client = Client::new(&devnet);
        assert_eq!(
            client.ok(&["info"]).await,
            json!({"request_max_bytes": LIMIT, "multipart_enabled": true}),
            "{way}"
        );
        // The form adds this much to the data (protocol 6.6).
        let room = LIMIT - 125 - "fits".len() - "bin".len();
        for (name, size, requests, sessions) in [("fits", room, 1, 0), ("more", room + 1, 1, 1)] {
            let bytes = noise(size);
            let made = client.ok(&[way, "create", name, "bin", &client.file(&bytes)]).await;
            assert_stored(&devnet, ids(&made)[0], &bytes).await;
            assert_eq!(count(&devnet, Endpoint::CreateData), requests, "{way}: {name}");
            assert_eq!(devnet.multipart_sessions().len(), sessions, "{way}: {name}");
        }

        // Each upload fits into one request, all together do not.
        let bytes = noise(1500);
        let file = client.file(&bytes);
        let names = ["a", "b", "c", "d", "e"];
        let creates: Vec<&str> = names.iter().flat_map(|name| ["create", *name, "bin", &file]).collect();
        let made = client.ok(&[&[way], creates.as_slice()].concat()).await;
        assert_eq!(ids(&made).len(), names.len(), "{way}: {made}");
        for id in ids(&made) {
            assert_stored(&devnet, id, &bytes).await;
        }
        assert_eq!(count(&devnet, Endpoint::CreateData), 1 + 3, "{way}: two, two and one");
        assert_eq!(devnet.multipart_sessions().len(), 1, "{way}");
        devnet.shutdown().await;
    }
}

#[tokio::test]
async fn without_sessions_everything_goes_in_single_requests() {
    for way in WAYS {
        let devnet = start(|config| config.multipart_enabled = false).await;
        let client = Client::new(&devnet);
        let old = devnet.put_data("old", "ply", b"old").await.expect("stored");
        let (one, two) = (noise(3_000_001), noise(2_000_000));
        let (one_file, two_file) = (client.file(&one), client.file(&two));
        let made =
            client.ok(&[way, "create", "new", "bin", &one_file, "update", &old.to_string(), &two_file]).await;
        let [new, updated] = ids(&made)[..] else { panic!("{way}: {made}") };
        assert_eq!(updated, old);
        assert_stored(&devnet, new, &one).await;
        assert_stored(&devnet, old, &two).await;
        assert_eq!(count(&devnet, Endpoint::CreateData), 1, "{way}");
        assert_eq!(count(&devnet, Endpoint::UpdateData), 1, "{way}");
        devnet.shutdown().await;
    }
}
