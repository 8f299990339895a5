//! A runner that fails again and again is taken out of the capabilities for a growing time.

use posemesh_plugin_host::registry::{BreakerState, BreakerView};
use posemesh_runner_api::runner::Runners as _;
use posemesh_tests::versions::{Does, put, versioned};
use serde_json::json;

use crate::watched::{Watched, run_with};

/// Opens at the third failure in a row, for so long that nothing else happens in a test.
const LONG: &[u8] = b"[breaker]\nfailures = 3\nopen_secs = 3600\n";
/// The same, for a second.
const SHORT: &[u8] = b"[breaker]\nfailures = 3\nopen_secs = 1\n";

/// One live runner `swap` with a policy.
async fn live(policy: &[u8], does: Does) -> Watched {
    let watched = Watched::start().await;
    put(watched.dir.path(), "swap.toml", policy);
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_001, does, 0));
    watched.until_live("swap", "1.0.1000001").await;
    watched
}

/// Runs a task that fails by the runner's fault, or completes.
async fn task(watched: &Watched, fails: bool) -> Result<(), String> {
    let runner = watched.pick(0).expect("a leased task is always given a runner");
    run_with(runner.as_ref(), json!({"fail": u8::from(fails)})).await.map(drop)
}

async fn fail(watched: &Watched, times: usize) {
    for _ in 0..times {
        task(watched, true).await.expect_err("it fails");
    }
}

fn breaker(watched: &Watched, name: &str) -> BreakerView {
    watched.runner(name).and_then(|view| view.breaker).expect("a breaker")
}

/// Waits until the capability is advertised, as the worker does.
async fn until_advertised(watched: &Watched) {
    let mut capabilities = watched.registry.capabilities();
    let served = capabilities.wait_for(|served| !served.is_empty());
    let served = tokio::time::timeout(posemesh_tests::TIMEOUT, served).await;
    served.expect("it is advertised again").expect("the registry is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_always_fails_is_withheld_and_a_task_that_was_leased_is_run() {
    let watched = live(LONG, Does::Work).await;
    fail(&watched, 2).await;
    assert!(watched.serves(0), "two are not enough");
    fail(&watched, 1).await;
    assert!(!watched.serves(0), "at once, before the next lease is asked for");
    let breaker = breaker(&watched, "swap");
    assert_eq!(breaker.state, BreakerState::Open);
    assert!(breaker.half_open_in_secs.is_some_and(|seconds| seconds > 2000), "{breaker:?}");
    assert!(
        breaker.last_failure.as_deref().is_some_and(|text| text.contains("can't do anything")),
        "{breaker:?}"
    );
    let view = watched.runner("swap").expect("known");
    assert_eq!((view.serves.len(), view.failures.runner), (0, 3));
    let suspended = watched.registry.suspended().join("\n");
    assert!(suspended.contains("the circuit breaker of swap is open for another"), "{suspended}");

    task(&watched, false).await.expect("a task that was leased already is run");
    assert!(!watched.serves(0), "which changes nothing");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_time_is_over_one_task_tries_it_and_closes_it() {
    let watched = live(SHORT, Does::Work).await;
    fail(&watched, 3).await;
    until_advertised(&watched).await;
    assert_eq!(breaker(&watched, "swap").state, BreakerState::HalfOpen);

    let trial = watched.pick(0).expect("live");
    assert!(!watched.serves(0), "one task is enough");
    drop(trial);
    assert!(watched.serves(0), "it was never run, so that the next one is the trial");
    fail(&watched, 1).await;
    let again = breaker(&watched, "swap");
    assert_eq!((again.state, again.openings), (BreakerState::Open, 2), "{again:?}");

    until_advertised(&watched).await;
    task(&watched, false).await.expect("it works");
    assert_eq!(breaker(&watched, "swap").state, BreakerState::Closed);
    assert!(watched.serves(0));
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_closes_it_and_a_new_version_starts_with_a_closed_one() {
    let watched = live(LONG, Does::Fail).await;
    fail(&watched, 3).await;
    assert_eq!(watched.registry.close_breaker("swap"), Ok(true));
    assert!(watched.serves(0));
    assert_eq!(watched.registry.close_breaker("swap"), Ok(false), "closed already");
    let unknown = watched.registry.close_breaker("nobody").expect_err("there is none");
    assert!(unknown.contains("no runner nobody"), "{unknown}");

    fail(&watched, 3).await;
    assert!(!watched.serves(0));
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_002, Does::Work, 0));
    watched.until_live("swap", "1.0.1000002").await;
    assert!(watched.serves(0));
    fail(&watched, 3).await;
    assert!(!watched.serves(0), "it is judged like any other");
    watched.registry.roll_back("swap").expect("there is a previous one");
    assert!(watched.serves(0), "the operator says that it is better");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_runner_of_the_capability_serves_meanwhile() {
    let watched = live(b"priority = 1\n[breaker]\nfailures = 3\nopen_secs = 3600\n", Does::Fail).await;
    put(watched.dir.path(), "second.wasm", &versioned(1_000_002, Does::Work, 0));
    watched.until_live("second", "1.0.1000002").await;
    fail(&watched, 3).await;
    assert!(watched.serves(0), "the capability stays");
    task(&watched, false).await.expect("by the second runner");
    let serves = |name: &str| watched.runner(name).expect("known").serves.len();
    assert_eq!((serves("swap"), serves("second")), (0, 1));
    assert_eq!(watched.registry.close_breaker("swap"), Ok(true));
    assert_eq!((serves("swap"), serves("second")), (1, 0));
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_gets_all_tasks_while_the_live_one_is_left_out() {
    let policy = b"[canary]\nshare = 0.1\ntasks = 4\n[breaker]\nfailures = 3\nopen_secs = 3600\n";
    let watched = live(policy, Does::Fail).await;
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_002, Does::Work, 0));
    watched.until("swap", "got a canary", |view| view.is_some_and(|view| view.generations.len() == 2)).await;
    fail(&watched, 3).await;
    assert!(watched.serves(0), "by the canary");
    for _ in 0..4 {
        task(&watched, false).await.expect("it may be the cure");
    }
    watched.until_live("swap", "1.0.1000002").await;
    assert_eq!(breaker(&watched, "swap").state, BreakerState::Closed);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_breaker_a_runner_may_fail_for_ever() {
    let watched = live(b"[breaker]\nenabled = false\n", Does::Fail).await;
    fail(&watched, 12).await;
    assert!(watched.serves(0));
    assert!(watched.runner("swap").is_some_and(|view| view.breaker.is_none()));
    let none = watched.registry.close_breaker("swap").expect_err("there is none");
    assert!(none.contains("enabled = false"), "{none}");
    watched.end().await;
}
