//! Metadata and bytes, from the devnet to the client.

use posemesh_devnet::{Devnet, Endpoint};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Client, as_json, count, items, lookalikes, noise, start};

#[tokio::test]
async fn a_listing_tells_each_item_as_it_is() {
    let devnet = start(|_| {}).await;
    let client = Client::new(&devnet);
    assert_eq!(client.ok(&["list"]).await, json!([]), "an empty domain");

    let put =
        async |name, data_type, bytes: &[u8]| devnet.put_data(name, data_type, bytes).await.expect("stored");
    let plain = put("scan", "ply", b"points").await;
    let spaced = put("Straße 12: der, grüne", "refined_ply", &noise(70_000)).await;
    let empty = put("nothing", "ply", b"").await;
    let [first, second, third] = [plain, spaced, empty].map(|id| id.to_string());

    assert_eq!(client.ok(&["list"]).await, as_json(&devnet.list_data()), "all of them, in their order");
    for (filters, wanted) in [
        (vec!["--name", "scan"], vec![plain]),
        (vec!["--name", "Straße 12: der, grüne"], vec![spaced]),
        (vec!["--name", "sca"], vec![]),
        (vec!["--data-type", "ply"], vec![plain, empty]),
        (vec!["--name", "nothing", "--data-type", "ply"], vec![empty]),
        (vec!["--name", "nothing", "--data-type", "json"], vec![]),
        (vec!["--id", &second], vec![spaced]),
        (vec!["--id", &first, "--id", &third], vec![plain, empty]),
        (vec!["--id", "00000000-0000-4000-8000-000000000000"], vec![]),
    ] {
        let listed = client.ok(&[&["list"], filters.as_slice()].concat()).await;
        assert_eq!(listed, as_json(&items(&devnet, &wanted)), "{filters:?}");
    }
    devnet.shutdown().await;
}

/// Stores data of different sizes and contents; empty data comes first and in the middle.
async fn put_all_sorts(devnet: &Devnet) -> Vec<(Uuid, Vec<u8>)> {
    let sorts = [
        ("empty", Vec::new()),
        ("one byte", b"\n".to_vec()),
        ("lookalikes", lookalikes()),
        ("line ends", b"\r\n\r\n".to_vec()),
        ("empty again", Vec::new()),
        ("large", noise(5_000_003)),
        ("dashes", vec![b'-'; 300_000]),
        ("last", (0..=255).collect()),
    ];
    let mut put = Vec::new();
    for (name, bytes) in sorts {
        put.push((devnet.put_data(name, "bin", &bytes).await.expect("stored"), bytes));
    }
    put
}

#[tokio::test]
async fn downloads_are_the_same_byte_for_byte() {
    let devnet = start(|_| {}).await;
    let client = Client::new(&devnet);
    assert_eq!(client.download(&[]).await, [], "an empty domain");
    let put = put_all_sorts(&devnet).await;

    // Not by `assert_eq!` of everything: a failure would print megabytes.
    let check = |parts: &[(Value, Vec<u8>)], wanted: &[(Uuid, Vec<u8>)], how: &str| {
        let metadata: Vec<&Value> = parts.iter().map(|(metadata, _)| metadata).collect();
        let ids: Vec<Uuid> = wanted.iter().map(|(id, _)| *id).collect();
        assert_eq!(json!(metadata), as_json(&items(&devnet, &ids)), "{how}");
        for ((metadata, got), (_, bytes)) in parts.iter().zip(wanted) {
            assert!(got == bytes, "{how}: {metadata} has other bytes");
        }
    };
    check(&client.download(&[]).await, &put, "all in one request");
    check(&client.download(&["--data-type", "bin"]).await, &put, "by type");
    check(&client.download(&["--name", "lookalikes"]).await, &put[2..3], "by name");
    let some = [put[0].0, put[5].0, put[7].0].map(|id| id.to_string());
    let filters: Vec<&str> = some.iter().flat_map(|id| ["--id", id]).collect();
    let wanted = [put[0].clone(), put[5].clone(), put[7].clone()];
    check(&client.download(&filters).await, &wanted, "by ids");
    assert_eq!(count(&devnet, Endpoint::DownloadData), 5, "one request each");

    for (id, bytes) in &put {
        let file = client.file(b"to be replaced");
        let said = client.ok(&["download-one", &id.to_string(), &file]).await;
        assert_eq!(said, json!({"bytes": bytes.len()}));
        assert!(std::fs::read(&file).expect("the file") == *bytes, "{id} has other bytes");
    }
    devnet.shutdown().await;
}
