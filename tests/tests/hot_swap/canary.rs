//! A new generation as a canary.

use std::time::Duration;

use posemesh_plugin_host::load::LoadStage;
use posemesh_tests::versions::{Does, put, versioned};

use crate::watched::{Watched, live, run_task};

const POLICY: &[u8] = b"[canary]\nshare = 0.5\ntasks = 4\nmax_failure_share = 0.25\n";

/// A live first generation, and a second one as canary.
async fn on_trial(second: Does) -> Watched {
    let watched = Watched::start().await;
    put(watched.dir.path(), "swap.toml", POLICY);
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_001, Does::Work, 0));
    watched.until_live("swap", "1.0.1000001").await;
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_002, second, 0));
    watched
        .until("swap", "got a canary", |view| {
            view.is_some_and(|view| view.generations[0].stage == LoadStage::Canary)
        })
        .await;
    watched
}

/// Runs tasks one after the other; returns how many the second generation completed and failed.
async fn tasks(watched: &Watched, count: usize) -> (usize, usize) {
    let (mut well, mut badly) = (0, 0);
    for _ in 0..count {
        let runner = watched.pick(0).expect("live");
        let second = runner.label().contains("1.0.1000002");
        match run_task(runner.as_ref(), Duration::ZERO).await {
            Ok(_) if second => well += 1,
            Ok(_) => {}
            Err(reason) => {
                assert!(second && reason.contains("can't do anything"), "only the second fails: {reason}");
                badly += 1;
            }
        }
    }
    (well, badly)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_taken_back_by_itself() {
    let watched = on_trial(Does::Fail).await;
    assert_eq!(tasks(&watched, 12).await, (0, 2), "half of the tasks, until it can't pass any more");
    let view = watched.runner("swap");
    assert_eq!(live(view.as_ref()).as_deref(), Some("1.0.1000001"));
    let reason = view.and_then(|view| view.refused).expect("said why").reason;
    assert!(reason.contains("2 of its first 2 tasks failed") && reason.contains("0.25"), "{reason}");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_works_takes_over_after_its_tasks() {
    let watched = on_trial(Does::Work).await;
    assert_eq!(tasks(&watched, 7).await, (3, 0), "half of the tasks");
    assert_eq!(live(watched.runner("swap").as_ref()).as_deref(), Some("1.0.1000001"), "not yet");
    tasks(&watched, 1).await;
    watched.until_live("swap", "1.0.1000002").await;
    assert_eq!(tasks(&watched, 3).await, (3, 0), "all of them");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_ends_the_trial() {
    let watched = on_trial(Does::Work).await;
    let now = watched.registry.roll_back("swap").expect("a canary is there to be taken back");
    assert!(now.contains("1.0.1000001"), "{now}");
    assert_eq!(tasks(&watched, 6).await, (0, 0));
    watched.end().await;
}
