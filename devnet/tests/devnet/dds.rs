//! Registration and login.

use std::time::Duration;

use posemesh_devnet::BearerKind;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::client::{Node, Wallet, challenge, http, post, read, register, registration, start, verify};

#[tokio::test]
async fn a_node_registers_and_logs_in() {
    let devnet = start(|_| {}).await;
    let wallet = Wallet::new(1);
    assert_eq!(verify(&devnet, &wallet).await, (403, "node not found".to_owned()));
    assert_eq!(register(&devnet, &wallet).await, (200, String::new()));
    let (status, body) = verify(&devnet, &wallet).await;
    assert_eq!(status, 200, "{body}");
    let login: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(login["wallet"], wallet.address());
    assert_eq!(login["node_id"], devnet.node().node_id.to_string());
    assert_eq!(login["access_token"].as_str().unwrap().split('.').count(), 3);
    let expires = OffsetDateTime::parse(login["access_expires_at"].as_str().unwrap(), &Rfc3339).unwrap();
    let ttl = expires - OffsetDateTime::now_utc();
    assert!((290..=300).contains(&ttl.whole_seconds()), "{ttl}");

    let seen = &devnet.registrations()[0];
    assert_eq!((seen.wallet.clone(), seen.version.as_str()), (Some(wallet.address()), "v1.2.3"));
    assert_eq!(seen.capabilities, ["/a/v1", "/b/v1"]);
    assert_eq!(devnet.logins().len(), 1);
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_nonce_is_good_for_one_use_by_its_wallet() {
    let devnet = start(|_| {}).await;
    let url = format!("{}/internal/v1/nodes/register-wallet", devnet.dds_url());
    let (wallet, other) = (Wallet::new(1), Wallet::new(2));
    let message = challenge(&devnet, &wallet.address()).await;

    let wrong_signer = registration(&devnet, &message, &other.sign(&message));
    let (status, text) = post(url.clone(), wrong_signer).await;
    assert_eq!(status, 401, "a message signed by another wallet must be refused: {text}");

    let stolen = message.replace(&wallet.address(), &other.address());
    let (status, text) = post(url.clone(), registration(&devnet, &stolen, &other.sign(&stolen))).await;
    assert_eq!((status, text.as_str()), (401, "invalid nonce"));

    // The attempt with the stolen nonce has used that nonce up.
    let message = challenge(&devnet, &wallet.address()).await;
    let good = registration(&devnet, &message, &wallet.sign(&message));
    assert_eq!(post(url.clone(), good.clone()).await.0, 200);
    assert_eq!(post(url, good).await, (401, "invalid nonce".to_owned()));
}

#[tokio::test]
async fn a_login_text_that_was_not_issued_is_refused() {
    let devnet = start(|config| config.nonce_ttl = Duration::ZERO).await;
    let wallet = Wallet::new(1);
    assert_eq!(register(&devnet, &wallet).await, (401, "invalid nonce".to_owned()), "it has expired");

    let devnet = start(|_| {}).await;
    let url = format!("{}/internal/v1/nodes/register-wallet", devnet.dds_url());
    for (from, to) in [
        ("Chain ID: 8453", "Chain ID: 1"),
        ("URI: http://", "URI: https://"),
        ("127.0.0.1", "example.com"),
        ("Issued At: 2", "Issued At: 3"),
    ] {
        let message = challenge(&devnet, &wallet.address()).await.replacen(from, to, 1);
        let (status, text) = post(url.clone(), registration(&devnet, &message, &wallet.sign(&message))).await;
        assert_eq!(status, 401, "{from} -> {to}: {text}");
    }
    let message = challenge(&devnet, &wallet.address()).await;
    let mut body = registration(&devnet, &message, &wallet.sign(&message));
    body["registration_credentials"] = json!("bm9wZTpub3Bl");
    assert_eq!(post(url, body).await.0, 401);
    assert!(devnet.registrations().is_empty());
}

#[tokio::test]
async fn one_wallet_is_one_node() {
    let devnet = start(|_| {}).await;
    assert_eq!(register(&devnet, &Wallet::new(1)).await.0, 200);
    assert_eq!(register(&devnet, &Wallet::new(1)).await.0, 200, "the same wallet may register again");
    assert_eq!(register(&devnet, &Wallet::new(2)).await.0, 409);
    assert!(devnet.forget_registration(devnet.node().node_id));
    assert_eq!(verify(&devnet, &Wallet::new(1)).await.0, 403);
    assert_eq!(register(&devnet, &Wallet::new(2)).await.0, 200);
}

#[tokio::test]
async fn machine_tokens_expire_and_can_be_revoked() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    assert_eq!(node.lease().await.0, 204);
    devnet.revoke_machine_tokens();
    assert_eq!(node.lease().await.0, 401);

    let requests = devnet.requests();
    let [good, bad] = &requests[requests.len() - 2..] else { panic!("two requests") };
    assert_eq!(good.bearer, BearerKind::Node(devnet.node().node_id));
    assert!(good.bearer_valid && !bad.bearer_valid);
    assert_eq!(good.bearer_hash, bad.bearer_hash);
    assert!(!format!("{requests:?}").contains(&node.token), "records must not have tokens");

    let devnet = start(|config| config.machine_token_ttl = Duration::ZERO).await;
    assert_eq!(Node::log_in(&devnet).await.lease().await.0, 401);
}

#[tokio::test]
async fn robots_register_and_log_in_without_a_wallet() {
    let devnet = start(|_| {}).await;
    let credentials = devnet.robot().registration_credentials.clone();
    let verify_url = format!("{}/internal/v1/auth/robot/verify", devnet.dds_url());
    let login = json!({"registration_credentials": credentials});
    assert_eq!(post(verify_url.clone(), login.clone()).await.0, 403);

    let register_url = format!("{}/internal/v1/robots/register", devnet.dds_url());
    let body =
        json!({"registration_credentials": credentials, "version": "1.0.0", "capabilities": ["/a/v1"]});
    let (status, body) = post(register_url, body).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = post(verify_url, login).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["robot_id"], devnet.robot().robot_id.to_string());

    // Robots get dedicated tasks only.
    let task = |mode: &str| json!({"tasks": [{"capability": "/a/v1", "mode": mode}]});
    devnet.submit_job(task("public")).unwrap();
    let lease = || async {
        let request = http().get(format!("{}/tasks", devnet.dms_url()));
        read(request.bearer_auth(body["access_token"].as_str().unwrap()).send().await.unwrap()).await
    };
    assert_eq!(lease().await.0, 204);
    let dedicated = devnet.submit_job(task("dedicated")).unwrap();
    let (status, envelope) = lease().await;
    assert_eq!(status, 200);
    assert!(envelope.contains(&dedicated.tasks[0].to_string()), "{envelope}");
}

#[tokio::test]
async fn the_same_directory_has_the_same_identities_and_data() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(|config| config.data_dir = Some(directory.path().to_owned())).await;
    let id = first.put_data("a", "text", b"hello").await.unwrap();
    let was = (first.domain_id(), first.registration_secret().to_owned(), first.list_data());
    first.shutdown().await;
    let second = start(|config| config.data_dir = Some(directory.path().to_owned())).await;
    let is = (second.domain_id(), second.registration_secret().to_owned(), second.list_data());
    assert_eq!(was, is);
    assert_eq!(&second.read_data(id).await.unwrap()[..], b"hello");
}

#[tokio::test]
async fn an_application_logs_in_and_gets_access_to_a_domain() {
    let devnet = start(|_| {}).await;
    let other = devnet.add_domain();
    let log_in = |secret: &str| {
        let url = format!("{}/service/domains-access-token", devnet.dds_url());
        http().post(url).basic_auth(&devnet.app().key, Some(secret)).send()
    };
    assert_eq!(read(log_in("guessed").await.unwrap()).await.0, 401);
    let (_, login) = read(log_in(&devnet.app().secret).await.unwrap()).await;
    let login: Value = serde_json::from_str(&login).unwrap();
    let token = login["access_token"].as_str().unwrap();

    let ask = |domain: Uuid, token: &str| {
        let url = format!("{}/api/v1/domains/{domain}/auth", devnet.dds_url());
        http().post(url).bearer_auth(token).send()
    };
    assert_eq!(read(ask(Uuid::new_v4(), token).await.unwrap()).await.0, 404, "no such domain");
    assert_eq!(read(ask(other, "guessed").await.unwrap()).await.0, 401);
    let (_, domain) = read(ask(other, token).await.unwrap()).await;
    let domain: Value = serde_json::from_str(&domain).unwrap();
    assert_eq!(domain["id"], other.to_string());
    assert_eq!(domain["domain_server"]["url"], devnet.domain_server_url());
    let opened = domain["access_token"].as_str().unwrap();
    assert_eq!(read(ask(other, opened).await.unwrap()).await.0, 401, "it is for the domain server only");

    for (id, status) in [(other, 200), (devnet.domain_id(), 403)] {
        let url = format!("{}/api/v1/domains/{id}/data", devnet.domain_server_url());
        assert_eq!(read(http().get(url).bearer_auth(opened).send().await.unwrap()).await.0, status);
    }
    assert_eq!(devnet.requests().last().unwrap().bearer, BearerKind::Domain(other));
    let secrets = devnet.secrets();
    for secret in [devnet.app().secret.as_str(), token, opened] {
        assert!(secrets.iter().any(|(_, known)| known == secret), "it is known as a secret");
    }
    devnet.shutdown().await;
}
