//! Whole flows against a small DDS on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use posemesh_http_mock::{MockServer, RecordedRequest, Reply};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::auth::wallet::Wallet;
use crate::registration::callback::receive_callback;
use posemesh_net::clock::{Clock, SystemClock};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const TIMEOUT: Duration = Duration::from_secs(20);

/// Answers nonce calls rightly, registrations with 200, and verify calls with these statuses first,
/// then a token.
async fn dds(verify: &[u16], domain: Option<&'static str>) -> MockServer {
    let verify = Arc::new(Mutex::new(verify.to_vec()));
    MockServer::start(move |seen: &RecordedRequest, before| -> Reply {
        match seen.target.rsplit('/').next().unwrap() {
            "request" => {
                let host = seen.header("host").to_owned();
                Reply::json(&json!({"nonce": format!("nonce{before:08}"), "domain": domain.unwrap_or(&host),
                        "uri": format!("http://{host}"), "version": "1", "chainId": 8453,
                        "issuedAt": SystemClock.now().format(&Rfc3339).unwrap()}))
            }
            "register-wallet" => Reply::status(200),
            "verify" => {
                let mut verify = verify.lock().unwrap();
                if verify.is_empty() {
                    Reply::json(&json!({"access_token": format!("machine-token-{before}"),
                            "access_expires_at": "2036-01-01T00:00:00Z"}))
                } else {
                    Reply::text(verify.remove(0), "node not found")
                }
            }
            other => panic!("{other} should not be called"),
        }
    })
    .await
}

fn settings(mock: &MockServer) -> MembershipSettings {
    MembershipSettings {
        dds_base_url: mock.url(),
        request_timeout: TIMEOUT,
        identity: Identity::Wallet {
            reg_secret: Secret::new("hunter2"),
            wallet: Arc::new(Wallet::parse(KEY).unwrap()),
        },
        node_version: "v1.2.3".to_owned(),
        signing: SigningSettings::default(),
        registration: RegistrationSettings::default(),
        token: TokenSettings { jitter: Duration::from_millis(10), ..TokenSettings::default() },
    }
}

struct Running {
    membership: Arc<Membership>,
    capabilities: watch::Sender<BTreeSet<String>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(mock: &MockServer) -> Running {
    let capabilities = watch::Sender::new(BTreeSet::from(["/a/v1".to_owned()]));
    let (membership, task) =
        Membership::new(&settings(mock), capabilities.subscribe(), Arc::new(SystemClock)).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(task.run(stop.clone()));
    Running { membership, capabilities, stop, task }
}

fn verbs(mock: &MockServer) -> Vec<String> {
    mock.requests().iter().map(|seen| seen.target.rsplit('/').next().unwrap().to_owned()).collect()
}

async fn token(running: &Running) -> Secret {
    timeout(TIMEOUT, running.membership.bearer()).await.expect("should have a token in time").unwrap()
}

async fn until(mock: &MockServer, what: &str, done: impl Fn(&[String]) -> bool) {
    let waiting = async {
        while !done(&verbs(mock)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("{what}: {:?}", verbs(mock)));
}

#[tokio::test]
async fn a_wallet_registers_and_then_logs_in_each_with_a_fresh_nonce() {
    let mock = dds(&[], None).await;
    let running = start(&mock);
    assert_eq!(token(&running).await.expose(), "machine-token-3");
    assert_eq!(*running.membership.status().borrow(), RegistrationStatus::Registered);
    assert_eq!(verbs(&mock), ["request", "register-wallet", "request", "verify"]);
    let seen = mock.requests();
    let wallet = Wallet::parse(KEY).unwrap();
    for (request, nonce) in [(&seen[1], "nonce00000000"), (&seen[3], "nonce00000002")] {
        let body = request.json();
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(nonce), "{message}");
        assert_eq!(body["signature"], wallet.sign(message).unwrap());
    }
    assert_eq!(seen[1].json()["registration_credentials"], "hunter2");
    assert_eq!(seen[1].json()["capabilities"], json!(["/a/v1"]));
    assert_eq!(seen[1].json()["version"], "1.2.3");
    assert_eq!(seen[3].json()["address"], wallet.address());
    running.stop.cancel();
    timeout(TIMEOUT, running.task).await.expect("should stop").unwrap();
    assert_eq!(running.membership.bearer().await, Err(AuthError::Stopped));
}

#[tokio::test]
async fn a_login_that_says_unregistered_registers_again() {
    for status in [403, 404, 410] {
        let mock = dds(&[status], None).await;
        let running = start(&mock);
        until(&mock, "should register and log in again", |verbs| {
            let count = |verb: &str| verbs.iter().filter(|seen| *seen == verb).count();
            let renewed = running.membership.token_status().renewals == 1;
            renewed && (count("register-wallet"), count("verify")) == (2, 2)
        })
        .await;
        token(&running).await;
    }
}

#[tokio::test]
async fn three_unauthorized_logins_in_a_row_register_again() {
    let mock = dds(&[401, 401, 401], None).await;
    let settings = settings(&mock);
    let Identity::Wallet { reg_secret, wallet } = settings.identity else { panic!("should be a wallet") };
    let client = DdsClient::new(mock.url(), TIMEOUT).unwrap();
    let sign_in = Arc::new(SignIn::new(client, wallet, &settings.signing, Arc::new(SystemClock)));
    let registrar =
        WalletRegistrar { sign_in: Arc::clone(&sign_in), credentials: reg_secret, version: "1.0.0".into() };
    let capabilities = watch::Sender::new(BTreeSet::from(["/a/v1".to_owned()]));
    let (registration, task) =
        RegistrationTask::new(Arc::new(registrar), capabilities.subscribe(), settings.registration);
    let stop = CancellationToken::new();
    let _end = stop.clone().drop_guard();
    tokio::spawn(task.run(stop));
    let login = WalletLogin::new(sign_in, registration);
    for _ in 0..3 {
        timeout(TIMEOUT, login.login()).await.expect("should be refused in time").unwrap_err();
    }
    timeout(TIMEOUT, login.login()).await.expect("should log in in time").unwrap();
    assert_eq!(verbs(&mock).iter().filter(|verb| *verb == "register-wallet").count(), 2);
    assert_eq!(verbs(&mock).last().unwrap(), "verify");
}

#[tokio::test]
async fn nothing_is_signed_for_another_domain() {
    let mock = dds(&[], Some("bank.example")).await;
    let running = start(&mock);
    until(&mock, "should ask for a nonce", |verbs| !verbs.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(verbs(&mock), ["request"], "neither registered nor logged in");
    assert_eq!(*running.membership.status().borrow(), RegistrationStatus::Registering);
}

#[tokio::test]
async fn new_capabilities_are_registered_and_the_token_is_renewed() {
    let mock = dds(&[], None).await;
    let running = start(&mock);
    let first = token(&running).await;
    running.capabilities.send_modify(|names| {
        names.insert("/b/v1".to_owned());
    });
    until(&mock, "should register and log in again", |verbs| verbs.len() >= 8).await;
    assert_eq!(verbs(&mock)[4..], ["request", "register-wallet", "request", "verify"]);
    assert_eq!(mock.requests()[5].json()["capabilities"], json!(["/a/v1", "/b/v1"]));
    until(&mock, "should stay", |_| running.membership.token_status().renewals == 2).await;
    assert_ne!(token(&running).await, first);
}

#[tokio::test]
async fn a_dms_that_does_not_know_the_node_makes_it_register_again() {
    let mock = dds(&[], None).await;
    let running = start(&mock);
    token(&running).await;
    running.membership.on_forbidden();
    until(&mock, "should register again", |verbs| {
        verbs.iter().filter(|verb| *verb == "register-wallet").count() == 2
    })
    .await;
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_shows_what_happens_and_no_secret() {
    let captured = Captured::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(captured.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    // While there is only one, a line that another test's thread reaches first is off for good.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let mock = dds(&[403], None).await;
    let running = start(&mock);
    until(&mock, "should log in at last", |_| running.membership.token_status().renewals == 1).await;
    let registration = running.membership.registration().unwrap();
    receive_callback(registration, br#"{"id":"node","secret":"hunter3"}"#).unwrap();
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for expected in [
        "Registering node with DDS",
        "Received registration callback",
        "registration.loop.start",
        "registration.success",
        "status.transition",
        "token.rotate",
        "node not found",
        "\"wallet_prefix\":\"0x1a642f0e\"",
    ] {
        assert!(log.contains(expected), "the log lacks {expected}: {log}");
    }
    for secret in ["hunter", KEY, "machine-token"] {
        assert!(!log.contains(secret), "the log holds {secret}: {log}");
    }
}
