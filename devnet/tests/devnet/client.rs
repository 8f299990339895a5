//! A client written against the wire contract alone.

use std::sync::OnceLock;

use k256::ecdsa::SigningKey;
use posemesh_devnet::{Devnet, DevnetConfig};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use uuid::Uuid;

pub(crate) fn http() -> Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn start(change: impl FnOnce(&mut DevnetConfig)) -> Devnet {
    let mut config = DevnetConfig::default();
    change(&mut config);
    Devnet::start(config).await.unwrap()
}

/// A wallet, which signs as protocol 1.1 says.
pub(crate) struct Wallet(SigningKey);

impl Wallet {
    pub(crate) fn new(byte: u8) -> Self {
        Self(SigningKey::from_slice(&[byte; 32]).unwrap())
    }

    pub(crate) fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        format!("0x{}", hex::encode(&Keccak256::digest(&point.as_bytes()[1..])[12..]))
    }

    pub(crate) fn sign(&self, message: &str) -> String {
        let length = message.len();
        let digest = Keccak256::digest(format!("\x19Ethereum Signed Message:\n{length}{message}"));
        let (signature, recovery) = self.0.sign_prehash_recoverable(&digest).unwrap();
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + recovery.to_byte())
    }
}

/// Status and body of an answer.
pub(crate) async fn read(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

pub(crate) async fn post(url: String, body: Value) -> (u16, String) {
    read(http().post(url).body(body.to_string()).send().await.unwrap()).await
}

/// The login text for a fresh nonce.
pub(crate) async fn challenge(devnet: &Devnet, address: &str) -> String {
    let url = format!("{}/internal/v1/auth/siwe/request", devnet.dds_url());
    let (status, body) = post(url, json!({"wallet": address})).await;
    assert_eq!(status, 200, "{body}");
    let nonce: Value = serde_json::from_str(&body).unwrap();
    let text = |name: &str| nonce[name].as_str().unwrap().to_owned();
    format!(
        "{} wants you to sign in with your Ethereum account:\n{address}\n\nURI: {}\nVersion: {}\n\
         Chain ID: {}\nNonce: {}\nIssued At: {}",
        text("domain"),
        text("uri"),
        text("version"),
        nonce["chainId"].as_i64().unwrap(),
        text("nonce"),
        text("issuedAt"),
    )
}

pub(crate) fn registration(devnet: &Devnet, message: &str, signature: &str) -> Value {
    json!({
        "message": message,
        "signature": signature,
        "registration_credentials": devnet.registration_secret(),
        "capabilities": ["/a/v1", "/b/v1"],
        "version": "v1.2.3",
    })
}

pub(crate) async fn register(devnet: &Devnet, wallet: &Wallet) -> (u16, String) {
    let message = challenge(devnet, &wallet.address()).await;
    let body = registration(devnet, &message, &wallet.sign(&message));
    post(format!("{}/internal/v1/nodes/register-wallet", devnet.dds_url()), body).await
}

pub(crate) async fn verify(devnet: &Devnet, wallet: &Wallet) -> (u16, String) {
    let message = challenge(devnet, &wallet.address()).await;
    let body = json!({"address": wallet.address(), "message": message, "signature": wallet.sign(&message)});
    post(format!("{}/internal/v1/auth/siwe/verify", devnet.dds_url()), body).await
}

/// A node that has logged in.
pub(crate) struct Node {
    http: Client,
    base: String,
    pub(crate) token: String,
}

impl Node {
    pub(crate) async fn log_in(devnet: &Devnet) -> Self {
        let wallet = Wallet::new(1);
        let (status, body) = register(devnet, &wallet).await;
        assert_eq!((status, body.as_str()), (200, ""));
        let (status, body) = verify(devnet, &wallet).await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let token = body["access_token"].as_str().unwrap().to_owned();
        Self { http: http(), base: devnet.dms_url(), token }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// `GET /tasks`; returns the status and the envelope.
    pub(crate) async fn lease(&self) -> (u16, Value) {
        let (status, body) = read(self.request(Method::GET, "/tasks").send().await.unwrap()).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    pub(crate) async fn report(&self, task: Uuid, verb: &str, body: Value) -> (u16, Value) {
        let request = self.request(Method::POST, &format!("/tasks/{task}/{verb}"));
        let (status, body) = read(request.body(body.to_string()).send().await.unwrap()).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    pub(crate) async fn heartbeat(&self, task: Uuid, progress: Value, events: Value) -> (u16, Value) {
        self.report(task, "heartbeat", json!({"progress": progress, "events": events})).await
    }
}

/// A job of one task for a capability of [`Node`].
pub(crate) fn job() -> Value {
    json!({"label": "j", "tasks": [{"label": "t", "stage": "s", "capability": "/a/v1"}]})
}
