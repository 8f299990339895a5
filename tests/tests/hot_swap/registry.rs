//! The registry alone: the live generations follow the changes of a folder.

use std::io::Write as _;
use std::time::Duration;

use posemesh_plugin_host::load::LoadStage;
use posemesh_plugin_host::registry::Scan;
use posemesh_runner_api::runner::Runners as _;
use posemesh_tests::versions::{Does, capability, put, versioned};

use crate::watched::{Watched, live, run_task};

fn work(number: u32, suffix: u8) -> Vec<u8> {
    versioned(number, Does::Work, suffix)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_is_added_replaced_and_removed_and_a_task_keeps_its_generation() {
    let watched = Watched::start().await;
    assert!(watched.pick(0).is_none() && !watched.serves(0));
    put(watched.dir.path(), "swap.wasm", &work(1_000_001, 0));
    watched.until_live("swap", "1.0.1000001").await;
    assert!(watched.serves(0));

    let held = watched.pick(0).expect("it is live");
    put(watched.dir.path(), "swap.wasm", &work(1_000_002, 0));
    let view = watched.until_live("swap", "1.0.1000002").await;
    assert_eq!(
        view.generations.iter().map(|one| one.stage).collect::<Vec<_>>(),
        [LoadStage::Live, LoadStage::Previous]
    );
    let ran = run_task(held.as_ref(), Duration::ZERO).await.expect("it runs");
    assert_eq!(ran, ("1.0.1000001".to_owned(), "1.0.1000001".to_owned()), "the generation it was given");
    assert!(watched.pick(0).expect("live").label().contains("1.0.1000002"));

    std::fs::remove_file(watched.dir.path().join("swap.wasm")).expect("removed");
    let draining =
        watched.until("swap", "drained", |view| live(view).is_none()).await.expect("held by a task");
    assert!(!watched.serves(0) && watched.pick(0).is_none(), "no new task");
    assert_eq!(draining.generations.len(), 1, "the one that a task holds");
    run_task(held.as_ref(), Duration::ZERO).await.expect("a task that it has goes on");
    drop(held);
    watched.until("swap", "went", |view| view.is_none()).await;
    let reached = watched.registry.transitions();
    for stage in [
        LoadStage::Found,
        LoadStage::Verified,
        LoadStage::Compiled,
        LoadStage::Linked,
        LoadStage::Probed,
        LoadStage::Live,
    ] {
        assert_eq!(reached.get(&stage), Some(&2), "{stage}");
    }
    assert_eq!((reached.get(&LoadStage::Draining), reached.get(&LoadStage::Gone)), (Some(&2), Some(&2)));
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_still_written_is_not_loaded() {
    // Longer than a busy machine lets a test wait between two pieces.
    let watched = Watched::start_with(|settings| settings.unchanged_for = Duration::from_secs(3)).await;
    let bytes = work(1_000_001, 0);
    let mut file = std::fs::File::create(watched.dir.path().join("slow.wasm")).expect("a file");
    for piece in bytes.chunks(bytes.len() / 20 + 1) {
        file.write_all(piece).expect("written");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(watched.runner("slow").is_none_or(|view| view.refused.is_none()), "nothing was refused");
    }
    drop(file);
    watched.until_live("slow", "1.0.1000001").await;
    assert_eq!(watched.registry.transitions().get(&LoadStage::Refused), None);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_end_all_the_time_do_not_keep_a_new_generation_out() {
    let watched = Watched::start().await;
    put(watched.dir.path(), "swap.wasm", &work(1_000_001, 0));
    watched.until_live("swap", "1.0.1000001").await;
    let busy = tokio::spawn({
        let registry = watched.registry.clone();
        async move {
            loop {
                drop(registry.pick(&capability(0)));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    put(watched.dir.path(), "swap.wasm", &work(1_000_002, 0));
    watched.until_live("swap", "1.0.1000002").await;
    busy.abort();
    assert!(busy.await.expect_err("it was ended").is_cancelled());
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_successor_leaves_the_old_one_serving_and_says_why() {
    let watched = Watched::start().await;
    let good = work(1_000_001, 0);
    put(watched.dir.path(), "swap.wasm", &good);
    watched.until_live("swap", "1.0.1000001").await;
    put(watched.dir.path(), "swap.wasm", &good[..good.len() / 2]);
    let reason = watched.until_refused("swap").await;
    assert!(reason.contains("swap.wasm") && reason.contains("cut short"), "{reason}");
    assert_eq!(live(watched.runner("swap").as_ref()).as_deref(), Some("1.0.1000001"));
    put(watched.dir.path(), "swap.wasm", &work(1_000_003, 0));
    let view = watched.until_live("swap", "1.0.1000003").await;
    assert!(view.refused.is_none(), "the reason is forgotten");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_policy_is_a_new_generation() {
    let watched = Watched::start().await;
    put(watched.dir.path(), "swap.wasm", &work(1_000_001, 0));
    let first = watched.until_live("swap", "1.0.1000001").await.generations[0].number;
    put(watched.dir.path(), "swap.toml", b"[limits]\ndeadline_ms = 50\n");
    watched
        .until("swap", "was loaded again", |view| view.is_some_and(|view| view.generations[0].number > first))
        .await;
    let runner = watched.pick(0).expect("live");
    let failed = run_task(runner.as_ref(), Duration::from_secs(60)).await.expect_err("it has 50 ms");
    assert!(failed.contains("`deadline_ms` of 50"), "{failed}");
    put(watched.dir.path(), "swap.toml", b"enabled = false\n");
    assert!(watched.until_refused("swap").await.contains("disabled"));
    assert!(!watched.serves(0));
    put(watched.dir.path(), "swap.toml", b"enable = true\n");
    watched
        .until("swap", "was refused for the policy", |view| {
            view.and_then(|view| view.refused.as_ref())
                .is_some_and(|refused| refused.reason.contains("unknown field `enable`"))
        })
        .await;
    std::fs::remove_file(watched.dir.path().join("swap.toml")).expect("removed");
    watched.until_live("swap", "1.0.1000001").await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_claim_the_same_are_told_apart_by_priority_or_refused_with_both_names() {
    let watched = Watched::start().await;
    put(watched.dir.path(), "one.wasm", &work(1_000_001, 0));
    watched.until_live("one", "1.0.1000001").await;
    put(watched.dir.path(), "two.wasm", &work(1_000_002, 0));
    let reason = watched.until_refused("two").await;
    for part in ["two claims", "one serves", "priority 0"] {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    put(watched.dir.path(), "two.toml", b"priority = 5\n");
    let two = watched.until_live("two", "1.0.1000002").await;
    assert_eq!(two.serves.len(), 1);
    assert!(watched.runner("one").expect("still live").serves.is_empty(), "the higher priority serves");
    assert!(watched.pick(0).expect("served").label().starts_with("two "));

    // Back to a conflict, until the other runner is removed.
    std::fs::remove_file(watched.dir.path().join("two.wasm")).expect("removed");
    std::fs::remove_file(watched.dir.path().join("two.toml")).expect("removed");
    watched.until("two", "went", |view| view.is_none()).await;
    put(watched.dir.path(), "two.wasm", &work(1_000_002, 0));
    watched.until_refused("two").await;
    std::fs::remove_file(watched.dir.path().join("one.wasm")).expect("removed");
    watched.until_live("two", "1.0.1000002").await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_the_previous_generation_back_at_once_and_stays() {
    let watched = Watched::start().await;
    put(watched.dir.path(), "swap.wasm", &work(1_000_001, 0));
    watched.until_live("swap", "1.0.1000001").await;
    let none = watched.registry.roll_back("swap").expect_err("there is one generation");
    assert!(none.contains("no previous generation"), "{none}");
    let unknown = watched.registry.roll_back("swop").expect_err("a typing error");
    assert!(unknown.contains("no runner swop") && unknown.contains("swap"), "{unknown}");

    put(watched.dir.path(), "swap.wasm", &work(1_000_002, 0));
    watched.until_live("swap", "1.0.1000002").await;
    let now = watched.registry.roll_back("swap").expect("back to the first");
    assert!(now.contains("1.0.1000001"), "{now}");
    watched.registry.scan(Scan::Now).await.expect("a look");
    let view = watched.runner("swap");
    assert_eq!(live(view.as_ref()).as_deref(), Some("1.0.1000001"), "a look does not undo it");
    let refused = view.and_then(|view| view.refused).expect("said why the newest does not serve");
    assert!(refused.reason.contains("rolled back"), "{}", refused.reason);
    assert!(watched.registry.roll_back("swap").expect("and forth").contains("1.0.1000002"));
    put(watched.dir.path(), "swap.wasm", &work(1_000_003, 0));
    watched.until_live("swap", "1.0.1000003").await;
    watched.end().await;
}
