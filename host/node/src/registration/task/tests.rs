//! On paused time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::task::JoinHandle;

use super::*;
use crate::auth::dds::DdsCall;
use crate::registration::callback::receive_callback;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(120);

/// Answers with these statuses, then 200 for ever; remembers when and what.
#[derive(Default)]
struct Script {
    statuses: Mutex<VecDeque<u16>>,
    calls: Mutex<Vec<(Instant, Vec<String>)>>,
    /// What failures ask for.
    retry_after: Mutex<Option<Duration>>,
}

#[async_trait]
impl Registrar for Script {
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError> {
        self.calls.lock().unwrap().push((Instant::now(), capabilities.to_vec()));
        match self.statuses.lock().unwrap().pop_front() {
            None | Some(200) => Ok(()),
            Some(status) => Err(DdsError::Status {
                call: DdsCall::RegisterWallet,
                status: StatusCode::from_u16(status).unwrap(),
                excerpt: String::new(),
                retry_after: *self.retry_after.lock().unwrap(),
            }),
        }
    }

    fn version(&self) -> &str {
        "1.2.3"
    }
}

struct Running {
    script: Arc<Script>,
    registration: Registration,
    capabilities: watch::Sender<BTreeSet<String>>,
    begin: Instant,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn start(statuses: &[u16], names: &[&str]) -> Running {
    let script = Arc::new(Script { statuses: Mutex::new(statuses.to_vec().into()), ..Script::default() });
    let capabilities = watch::Sender::new(set(names));
    let settings = RegistrationSettings { interval: INTERVAL, max_retry: None };
    let (registration, task) = RegistrationTask::new(script.clone(), capabilities.subscribe(), settings);
    let stop = CancellationToken::new();
    let task = tokio::spawn(task.run(stop.clone()));
    Running { script, registration, capabilities, begin: Instant::now(), stop, task }
}

impl Running {
    async fn wait_for(&self, wanted: RegistrationStatus) {
        self.registration.status().wait_for(|status| *status == wanted).await.unwrap();
    }

    fn calls(&self) -> Vec<(f64, Vec<String>)> {
        let calls = self.script.calls.lock().unwrap();
        calls.iter().map(|(at, names)| ((*at - self.begin).as_secs_f64(), names.clone())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn registers_at_once_and_then_rests() {
    let running = start(&[], &["/b/v1", "/a/v1"]);
    assert_eq!(*running.registration.status().borrow(), RegistrationStatus::Disconnected);
    running.wait_for(RegistrationStatus::Registered).await;
    sleep(1000 * INTERVAL).await;
    assert_eq!(running.calls(), [(0.0, vec!["/a/v1".to_owned(), "/b/v1".to_owned()])], "sorted, and once");
}

#[tokio::test(start_paused = true)]
async fn retryable_failures_back_off_and_conflicts_wait_an_interval() {
    let running = start(&[503, 500, 409, 401], &["/a/v1"]);
    running.wait_for(RegistrationStatus::Registered).await;
    let at: Vec<f64> = running.calls().iter().map(|(at, _)| *at).collect();
    for (gap, expected) in at.windows(2).map(|pair| pair[1] - pair[0]).zip([2.0, 4.0, 120.0, 120.0]) {
        let tolerance = if expected < 100.0 { expected * 0.2 } else { 0.01 };
        assert!((gap - expected).abs() <= tolerance + 0.01, "{gap} should be about {expected}");
    }
    assert_eq!(at.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_dds_holds_for_registrations_whatever_else_changes() {
    for (status, asked) in [(503, 90), (403, 500), (409, 300), (503, 1)] {
        let running = start(&[status], &["/a/v1"]);
        *running.script.retry_after.lock().unwrap() = Some(asked * SECOND);
        // New capabilities would otherwise cut the wait after a refusal short.
        sleep(SECOND / 2).await;
        running.capabilities.send_replace(set(&["/a/v1", "/b/v1"]));
        running.wait_for(RegistrationStatus::Registered).await;
        let gap = running.calls()[1].0;
        assert!(gap >= asked.into() && gap < f64::from(asked) + 3.0, "{status}: {gap} for {asked} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rearm_registers_again_at_once_but_not_over_and_over() {
    let running = start(&[], &["/a/v1"]);
    for _ in 0..8 {
        running.wait_for(RegistrationStatus::Registered).await;
        running.registration.rearm("test");
        assert_eq!(*running.registration.status().borrow(), RegistrationStatus::Disconnected);
    }
    running.wait_for(RegistrationStatus::Registered).await;
    let at: Vec<f64> = running.calls().iter().map(|(at, _)| *at).collect();
    assert_eq!(at.len(), 9);
    assert!(at[2] < 1.0, "the first two at once: {at:?}");
    assert!(at[8] > 30.0, "then at a slower pace: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rearm_while_not_registered_does_nothing() {
    let running = start(&[409], &["/a/v1"]);
    running.wait_for(RegistrationStatus::Registering).await;
    running.registration.rearm("test");
    assert_eq!(*running.registration.status().borrow(), RegistrationStatus::Registering);
}

#[tokio::test(start_paused = true)]
async fn changed_capabilities_are_told_once_they_have_settled() {
    let running = start(&[], &["/a/v1"]);
    running.wait_for(RegistrationStatus::Registered).await;
    for names in [&["/a/v1", "/b/v1"][..], &["/b/v1"], &["/b/v1", "/c/v1"]] {
        running.capabilities.send_replace(set(names));
        sleep(Duration::from_millis(100)).await;
        assert_eq!(*running.registration.status().borrow(), RegistrationStatus::Registered);
    }
    sleep(10 * SECOND).await;
    let calls = running.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!(calls[1].1, ["/b/v1", "/c/v1"]);
    assert_eq!(*running.registration.status().borrow(), RegistrationStatus::Registered);

    running.capabilities.send_replace(set(&["/d/v1"]));
    running.capabilities.send_replace(set(&["/b/v1", "/c/v1"]));
    sleep(10 * SECOND).await;
    assert_eq!(running.calls().len(), 2, "back where it was: nothing to tell");
}

#[tokio::test(start_paused = true)]
async fn without_capabilities_there_is_no_request_until_there_are_some() {
    let running = start(&[], &[]);
    sleep(10 * INTERVAL).await;
    assert!(running.calls().is_empty());
    running.capabilities.send_replace(set(&["/a/v1"]));
    sleep(SECOND).await;
    assert_eq!(running.calls().len(), 1);
    running.capabilities.send_replace(set(&[]));
    sleep(10 * INTERVAL).await;
    assert_eq!(running.calls().len(), 1, "DDS takes no empty list");
}

#[tokio::test(start_paused = true)]
async fn logging_in_waits_for_the_registration_or_a_callback() {
    let running = start(&[409, 409], &["/a/v1"]);
    let open = running.registration.login_open();
    assert!(tokio::time::timeout(SECOND, open).await.is_err(), "closed while there is a conflict");
    for (body, status) in [
        (&b"{"[..], 400_u16),
        (b"[]", 422),
        (b"{\"id\":\"a\"}", 422),
        (b"{\"id\":\" \",\"secret\":\"s\"}", 422),
        (b"{\"id\":\"a\",\"secret\":\" \"}", 422),
    ] {
        assert_eq!(receive_callback(&running.registration, body).unwrap_err().status, status);
    }
    let large = format!(r#"{{"id":"a","secret":"{}"}}"#, "s".repeat(4097));
    assert_eq!(receive_callback(&running.registration, large.as_bytes()).unwrap_err().status, 403);
    receive_callback(&running.registration, br#"{"id":"a","secret":"s","domains":[]}"#).unwrap();
    running.registration.login_open().await;
    assert_eq!(
        *running.registration.status().borrow(),
        RegistrationStatus::Registering,
        "and goes on trying"
    );
    running.wait_for(RegistrationStatus::Registered).await;
    assert_eq!(running.registration.login_open().await, 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_wait() {
    let running = start(&[409], &["/a/v1"]);
    sleep(SECOND).await;
    let asked = Instant::now();
    running.stop.cancel();
    running.task.await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_told_once_more_when_an_earlier_registration_may_have_arrived_late() {
    let running = start(&[504], &["/a/v1", "/b/v1"]);
    sleep(SECOND / 2).await;
    running.capabilities.send_replace(set(&["/a/v1"]));
    sleep(1000 * INTERVAL).await;
    let calls = running.calls();
    let told: Vec<usize> = calls.iter().map(|(_, names)| names.len()).collect();
    assert_eq!(told, [2, 1, 1], "the second one might be followed by the first: {calls:?}");
    assert!((60.0..65.0).contains(&calls[2].0), "when the first one can't arrive any more: {calls:?}");
    assert_eq!(*running.registration.status().borrow(), RegistrationStatus::Registered);
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_told_once_when_nothing_else_was_said_or_dds_has_refused_it() {
    for (statuses, then) in [(vec![504, 503], ["/a/v1"]), (vec![403], ["/b/v1"])] {
        let running = start(&statuses, &["/a/v1"]);
        sleep(SECOND).await;
        running.capabilities.send_replace(set(&then));
        sleep(1000 * INTERVAL).await;
        let calls = running.calls();
        assert_eq!(calls.len(), statuses.len() + 1, "{calls:?}");
    }
}
