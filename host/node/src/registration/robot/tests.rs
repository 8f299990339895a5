#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posemesh_http_mock::{MockServer, Reply};
use serde_json::json;

use super::*;
use crate::auth::login::LoginErrorKind;

fn granted() -> Reply {
    Reply::json(&json!({"robot_id": "0b9ad4a4-2c84-4a9c-9d1b-1f6b8e7f6c01", "access_token": "t",
            "access_expires_at": "2036-01-01T00:00:00Z"}))
}

fn robot(mock: &MockServer, names: &[&str]) -> (RobotLogin, watch::Sender<BTreeSet<String>>) {
    let capabilities = watch::Sender::new(names.iter().map(ToString::to_string).collect());
    let dds = DdsClient::new(mock.url(), Duration::from_secs(5)).unwrap();
    let login = RobotLogin::new(dds, Secret::new("c"), "v1".to_owned(), capabilities.subscribe());
    (login, capabilities)
}

fn verbs(mock: &MockServer) -> Vec<String> {
    mock.requests().iter().map(|seen| seen.target.rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn the_first_login_registers_and_later_ones_verify() {
    let mock = MockServer::start(|_, before| if before == 0 { Reply::status(500) } else { granted() }).await;
    let (robot, _capabilities) = robot(&mock, &["/a/v1"]);
    robot.login().await.unwrap_err();
    assert_eq!(*robot.status().borrow(), RegistrationStatus::Registering);
    for _ in 0..3 {
        robot.login().await.unwrap();
    }
    assert_eq!(verbs(&mock), ["register", "register", "verify", "verify"]);
    assert_eq!(*robot.status().borrow(), RegistrationStatus::Registered);
}

#[tokio::test]
async fn a_robot_that_dds_has_forgotten_registers_again() {
    let forgotten = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&forgotten);
    let mock = MockServer::start(move |seen, _| {
        let verify = seen.target.ends_with("verify");
        if verify && switch.load(Ordering::SeqCst) { Reply::status(404) } else { granted() }
    })
    .await;
    let (robot, _capabilities) = robot(&mock, &["/a/v1"]);
    robot.login().await.unwrap();
    forgotten.store(true, Ordering::SeqCst);
    robot.login().await.unwrap();
    assert_eq!(verbs(&mock), ["register", "verify", "register"]);
}

#[tokio::test]
async fn a_failure_of_verify_that_says_nothing_about_the_robot_does_not_register() {
    let mock = MockServer::start(|_, before| if before == 1 { Reply::status(401) } else { granted() }).await;
    let (robot, _capabilities) = robot(&mock, &["/a/v1"]);
    robot.login().await.unwrap();
    assert!(matches!(robot.login().await, Err(LoginError { kind: LoginErrorKind::Refused, .. })));
    robot.login().await.unwrap();
    assert_eq!(verbs(&mock), ["register", "verify", "verify"]);
}

#[tokio::test]
async fn changed_capabilities_want_a_login_which_registers() {
    let mock = MockServer::start(|_, _| granted()).await;
    let (robot, capabilities) = robot(&mock, &["/a/v1"]);
    robot.login().await.unwrap();
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, robot.wanted()).await.is_err(), "nothing has changed");
    capabilities.send_modify(|names| {
        names.insert("/b/v1".to_owned());
    });
    robot.wanted().await;
    robot.login().await.unwrap();
    assert_eq!(verbs(&mock), ["register", "register"]);
    assert_eq!(mock.requests()[1].json()["capabilities"], json!(["/a/v1", "/b/v1"]));
    capabilities.send_replace(BTreeSet::new());
    robot.login().await.unwrap();
    assert_eq!(verbs(&mock)[2], "verify", "an empty list is not told");
}

#[tokio::test]
async fn a_fresh_registration_is_not_repeated_on_the_word_of_dms() {
    let mock = MockServer::start(|_, _| granted()).await;
    let (robot, _capabilities) = robot(&mock, &["/a/v1"]);
    robot.login().await.unwrap();
    robot.rearm("test");
    assert_eq!(*robot.status().borrow(), RegistrationStatus::Registered);
    tokio::time::pause();
    tokio::time::advance(FRESH + Duration::from_secs(1)).await;
    robot.rearm("test");
    assert_eq!(*robot.status().borrow(), RegistrationStatus::Disconnected);
    robot.wanted().await;
}

#[tokio::test]
async fn capabilities_are_told_once_more_when_an_earlier_registration_may_have_arrived_late() {
    let mock = MockServer::start(|_, before| if before == 0 { Reply::status(504) } else { granted() }).await;
    let (robot, capabilities) = robot(&mock, &["/a/v1", "/b/v1"]);
    robot.login().await.unwrap_err();
    capabilities.send_replace(BTreeSet::from(["/a/v1".to_owned()]));
    robot.login().await.unwrap();
    let soon = Duration::from_millis(50);
    assert!(
        tokio::time::timeout(soon, robot.wanted()).await.is_err(),
        "the first one may still be under way"
    );
    let again = robot.again.borrow().expect("DDS is to be told once more");
    assert!(again > Instant::now() + Duration::from_secs(50));
    robot.again.send_replace(Some(Instant::now()));
    robot.wanted().await;
    // With no runner left, too: what DDS has must be what was registered last.
    capabilities.send_replace(BTreeSet::new());
    robot.unheard().forget();
    for _ in 0..2 {
        robot.login().await.unwrap();
    }
    assert_eq!(verbs(&mock), ["register", "register", "register", "verify"]);
    assert_eq!(mock.requests()[2].json()["capabilities"], json!(["/a/v1"]));
    assert!(tokio::time::timeout(soon, robot.wanted()).await.is_err(), "once");
}
