//! Permissions, and how the client reports a refusal.

use posemesh_devnet::{BearerKind, Endpoint, Role};
use serde_json::json;
use uuid::Uuid;

use crate::client::{Client, as_json, count, ids, lookalikes, noise, start};

#[tokio::test]
async fn data_can_be_deleted() {
    let devnet = start(|_| {}).await;
    let client = Client::new(&devnet);
    let gone = devnet.put_data("gone", "bin", b"1").await.expect("stored");
    let kept = devnet.put_data("kept", "bin", b"2").await.expect("stored");
    assert_eq!(client.ok(&["delete", &gone.to_string()]).await, json!(null));
    let left: Vec<Uuid> = devnet.list_data().iter().map(|item| item.id).collect();
    assert_eq!(left, [kept]);
    let (status, _) = client.refused(&["delete", &gone.to_string()]).await;
    assert_eq!(status, 404, "it is gone");
    devnet.shutdown().await;
}

#[tokio::test]
async fn refusals_reach_the_client_as_statuses_with_words() {
    let devnet = start(|config| {
        config.multipart_enabled = false;
        config.request_max_bytes = 1000;
    })
    .await;
    let client = Client::new(&devnet);
    let known = devnet.put_data("known", "bin", b"1").await.expect("stored");
    let file = client.file(b"2");
    let large = client.file(&[0; 1001]);
    let known_id = known.to_string();
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (arguments, status, words) in [
        (vec!["download-one", unknown, &file], 404, "Failed to download data by id. "),
        (vec!["list", "--id", "not-an-id"], 400, "Failed to download data. "),
        (vec!["upload", "update", unknown, &file], 404, "Failed to update data. "),
        (vec!["upload", "create", "known", "bin", &file], 409, "Failed to create data. "),
        (vec!["upload", "create", "a/b", "bin", &file], 400, "Failed to create data. "),
        (vec!["upload", "create", "large", "bin", &large], 413, "Failed to create data. "),
        (vec!["upload", "update", &known_id, &large], 413, "Failed to update data. "),
    ] {
        let (got, said) = client.refused(&arguments).await;
        assert_eq!(got, status, "{arguments:?}: {said}");
        assert!(said.strip_prefix(words).is_some_and(|reason| !reason.is_empty()), "{arguments:?}: {said}");
    }
    assert_eq!(devnet.read_data(known).await.expect("stored"), &b"1"[..], "nothing was changed");
    assert_eq!(devnet.list_data().len(), 1);
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_token_that_was_not_issued_opens_nothing() {
    let devnet = start(|_| {}).await;
    let client = Client::with_token(&devnet, devnet.domain_id(), "no.such.token");
    let known = devnet.put_data("known", "bin", b"1").await.expect("stored").to_string();
    let file = client.file(b"2");
    let folder = file.clone();
    for arguments in [
        vec!["list"],
        vec!["download", &folder],
        vec!["download-one", &known, &file],
        vec!["upload", "create", "new", "bin", &file],
        vec!["upload", "update", &known, &file],
        vec!["delete", &known],
    ] {
        let (status, said) = client.refused(&arguments).await;
        assert_eq!(status, 401, "{arguments:?}: {said}");
    }
    assert_eq!(devnet.list_data().len(), 1);
    devnet.shutdown().await;
}

#[tokio::test]
async fn an_application_signs_in_and_finds_its_way_into_a_domain() {
    let devnet = start(|config| config.request_max_bytes = 100_000).await;
    let client = Client::signing_in(&devnet, &devnet.app().secret);
    let old = devnet.put_data("old", "ply", lookalikes()).await.expect("stored");
    let (small, large) = (noise(10_000), noise(200_000));
    let (small_file, large_file) = (client.file(&small), client.file(&large));

    let made = client.ok(&["upload", "create", "new", "bin", &small_file]).await;
    let new = ids(&made)[0];
    client.ok(&["upload-stream", "update", &new.to_string(), &large_file]).await;
    assert!(devnet.read_data(new).await.expect("stored") == large, "stored byte for byte");
    assert_eq!(client.ok(&["list"]).await, as_json(&devnet.list_data()));
    let parts = client.download(&[]).await;
    let bytes: Vec<&[u8]> = parts.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert!(bytes == [lookalikes(), large], "downloaded byte for byte");
    let file = client.file(b"");
    client.ok(&["download-one", &old.to_string(), &file]).await;
    assert_eq!(std::fs::read(file).expect("the file"), lookalikes());
    client.ok(&["delete", &old.to_string()]).await;
    assert_eq!(devnet.list_data().len(), 1);

    assert_eq!(count(&devnet, Endpoint::AppToken), 6, "each call is a program of its own");
    assert_eq!(count(&devnet, Endpoint::DomainToken), 6);
    let domain = BearerKind::Domain(devnet.domain_id());
    let requests = devnet.requests();
    let mut of_data = requests.iter().filter(|request| {
        request.endpoint.is_some_and(|endpoint| endpoint.role() == Role::Domain && endpoint != Endpoint::Info)
    });
    assert!(of_data.all(|request| request.bearer == domain), "with the domain's token alone");
    devnet.shutdown().await;
}

#[tokio::test]
async fn an_application_with_a_wrong_secret_stays_outside() {
    let devnet = start(|_| {}).await;
    let (status, words) = Client::signing_in(&devnet, "guessed").refused(&["list"]).await;
    assert_eq!(status, 401, "{words}");
    assert_eq!(count(&devnet, Endpoint::DomainToken), 0);
    devnet.shutdown().await;
}
