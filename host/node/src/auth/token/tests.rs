//! On paused time: a second of waiting costs nothing, and every moment is exact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rejected;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

use super::manager::LONGEST_WAIT;
use super::*;
use crate::auth::bearer::{AuthError, MachineAuth};
use crate::auth::login::{Login, LoginError, MachineToken};
use posemesh_net::clock::Clock;
use posemesh_net::secret::Secret;

/// A clock for tests: it starts at a chosen moment and moves with tokio's clock, paused or not.
#[derive(Debug, Clone, Copy)]
struct TestClock {
    start: OffsetDateTime,
    started: tokio::time::Instant,
}

impl TestClock {
    /// A clock that shows `start` now.
    fn at(start: OffsetDateTime) -> Self {
        Self { start, started: tokio::time::Instant::now() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        self.start + self.started.elapsed()
    }
}

const START: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What the next login does; the last one is repeated.
#[derive(Clone, Debug)]
enum Next {
    Token(Duration),
    Down,
    Busy(Duration),
    No,
    Hang,
}

#[derive(Debug)]
struct Script {
    clock: TestClock,
    steps: Mutex<VecDeque<Next>>,
    started: Mutex<Vec<Instant>>,
    takes: Duration,
}

impl Script {
    fn logins(&self) -> usize {
        self.started.lock().unwrap().len()
    }

    fn set(&self, steps: &[Next]) {
        *self.steps.lock().unwrap() = steps.iter().cloned().collect();
    }
}

#[async_trait]
impl Login for Script {
    async fn login(&self) -> Result<MachineToken, LoginError> {
        let number = {
            let mut started = self.started.lock().unwrap();
            started.push(Instant::now());
            started.len()
        };
        let step = {
            let mut steps = self.steps.lock().unwrap();
            let next = steps.pop_front().unwrap();
            if steps.is_empty() {
                steps.push_back(next.clone());
            }
            next
        };
        sleep(self.takes).await;
        match step {
            Next::Token(lifetime) => Ok(MachineToken {
                token: Secret::new(format!("token-{number}")),
                expires_at: self.clock.now() + lifetime,
                server_date: None,
            }),
            Next::Down => Err(LoginError::transient("no route")),
            Next::Busy(time) => Err(LoginError { retry_after: Some(time), ..LoginError::transient("503") }),
            Next::No => Err(LoginError::refused("node not found")),
            Next::Hang => std::future::pending().await,
        }
    }
}

struct Running {
    manager: TokenManager,
    script: Arc<Script>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn start(steps: &[Next]) -> Running {
    let clock = TestClock::at(START);
    let script = Arc::new(Script {
        clock,
        steps: Mutex::new(steps.iter().cloned().collect()),
        started: Mutex::default(),
        takes: Duration::from_millis(10),
    });
    let settings = TokenSettings { safety_ratio: 0.75, max_retries: 3, jitter: Duration::from_millis(500) };
    let (manager, refresher) = TokenManager::new(script.clone(), settings, Arc::new(clock));
    let stop = CancellationToken::new();
    let task = tokio::spawn(refresher.run(stop.clone()));
    Running { manager, script, stop, task }
}

impl Running {
    async fn bearer(&self) -> Result<String, AuthError> {
        self.manager.bearer().await.map(|token| token.expose().to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_share_one_login() {
    let running = start(&[Next::Token(HOUR)]);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let manager = running.manager.clone();
            tokio::spawn(async move { manager.bearer().await.unwrap().expose().to_owned() })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "token-1");
    }
    assert_eq!(running.script.logins(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_token_is_renewed_in_time_even_if_nobody_asks() {
    let running = start(&[Next::Token(HOUR)]);
    running.bearer().await.unwrap();
    sleep(Duration::from_secs(2699)).await;
    assert_eq!(running.script.logins(), 1);
    sleep(2 * SECOND).await;
    assert_eq!(running.script.logins(), 2);
    assert_eq!(running.bearer().await.unwrap(), "token-2");
    assert_eq!(running.manager.status().renewals, 2);
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_what_is_left_of_the_lifetime_is_not_noticed() {
    let running = start(&[Next::Token(HOUR), Next::Down]);
    running.bearer().await.unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3590) {
        let asked = Instant::now();
        assert_eq!(running.bearer().await.unwrap(), "token-1");
        assert_eq!(asked.elapsed(), Duration::ZERO, "callers never wait while a valid token is there");
        sleep(SECOND).await;
    }
    assert!(running.script.logins() > 10, "renewal was tried again and again");
    running.script.set(&[Next::Token(HOUR)]);
    sleep(Duration::from_secs(60)).await;
    assert_ne!(running.bearer().await.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_not_handed_out() {
    let running = start(&[Next::Token(HOUR), Next::Down]);
    running.bearer().await.unwrap();
    sleep(HOUR + SECOND).await;
    assert!(
        matches!(running.bearer().await, Err(AuthError::Unavailable(reason)) if reason.contains("no route"))
    );
    assert_eq!(running.manager.status().valid_for, None);
}

#[tokio::test(start_paused = true)]
async fn back_off_grows_and_does_not_stop_trying() {
    let running = start(&[Next::Down]);
    sleep(Duration::from_secs(600)).await;
    let started = running.script.started.lock().unwrap().clone();
    // Full jitter: 30 s at most, 15 s on average once the ceiling is reached.
    assert!((20..120).contains(&started.len()), "{} logins in ten minutes", started.len());
    for pair in started.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(gap >= Duration::from_millis(250) && gap <= Duration::from_secs(31), "{gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_sits_out_the_allowed_retries_and_no_more() {
    let running = start(&[Next::Down, Next::Down, Next::Down, Next::Token(HOUR)]);
    assert_eq!(running.bearer().await.unwrap(), "token-4", "three retries are allowed");

    let running = start(&[Next::Down]);
    assert!(matches!(running.bearer().await, Err(AuthError::Unavailable(_))));
    assert_eq!(running.script.logins(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once_and_retried_slowly() {
    let running = start(&[Next::No]);
    let refused = AuthError::Refused("node not found".to_owned());
    assert_eq!(running.bearer().await, Err(refused.clone()));
    assert_eq!(running.script.logins(), 1);
    assert_eq!(running.bearer().await, Err(refused), "a later caller need not wait for the next try");
    running.script.set(&[Next::Token(HOUR)]);
    sleep(3 * SECOND).await;
    running.bearer().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let running = start(&[Next::Token(HOUR)]);
    let first = running.manager.bearer().await.unwrap();
    sleep(SECOND).await;
    running.manager.on_unauthorized(&first);
    let second = running.manager.bearer().await.unwrap();
    assert_eq!(second.expose(), "token-2");
    running.manager.on_unauthorized(&first);
    assert_eq!(
        running.bearer().await.unwrap(),
        "token-2",
        "a late report about the old token changes nothing"
    );
    assert_eq!(running.script.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_middle_of_back_off_logs_in_at_once() {
    let running = start(&[Next::Token(HOUR), Next::Down]);
    let first = running.manager.bearer().await.unwrap();
    sleep(Duration::from_secs(2800)).await;
    let before = running.script.logins();
    assert!(before > 2);
    running.script.set(&[Next::Token(HOUR)]);
    running.manager.on_unauthorized(&first);
    let asked = Instant::now();
    running.bearer().await.unwrap();
    assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn tiny_lifetimes_do_not_cause_a_flood_of_logins() {
    let running = start(&[Next::Token(Duration::from_millis(5))]);
    sleep(10 * SECOND).await;
    assert!(running.script.logins() <= 41, "{} logins in ten seconds", running.script.logins());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_when_it_comes_is_a_failed_login() {
    let running = start(&[Next::Token(Duration::ZERO)]);
    let error = running.bearer().await.unwrap_err();
    assert!(error.to_string().contains("expired already"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_hangs_ends_the_wait_but_not_the_login() {
    let running = start(&[Next::Hang]);
    let asked = Instant::now();
    let error = running.bearer().await.unwrap_err();
    assert_eq!(asked.elapsed(), LONGEST_WAIT);
    assert!(error.to_string().contains("may not be registered"), "{error}");
    assert_eq!(running.script.logins(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_abandons_a_login_and_wakes_callers() {
    let running = start(&[Next::Hang]);
    let manager = running.manager.clone();
    let caller = tokio::spawn(async move { manager.bearer().await });
    advance(SECOND).await;
    running.stop.cancel();
    running.task.await.unwrap();
    assert_eq!(caller.await.unwrap(), Err(AuthError::Stopped));
    assert_eq!(running.manager.bearer().await, Err(AuthError::Stopped), "and so it stays");
}
