//! Guests that do not return, and guests that end by a trap, a panic or an exit.

use std::time::{Duration, Instant};

use posemesh_devnet::TaskStatus;
use posemesh_tests::guests::{BLOCKED, COPY, EXIT, HUGE_ERROR, IGNORE_CANCEL, PANIC, SPIN, TRAP};
use serde_json::Value;

use crate::shared_node::Expect::Fails;
use crate::shared_node::SharedNode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn runners_that_do_not_return_are_ended_by_name() {
    let short = "[limits]\ndeadline_ms = 1500\n";
    let mut shared = SharedNode::with_guests(
        &[
            (SPIN, short),
            (BLOCKED, short),
            (COPY, "[limits]\ncpu_time_ms = 700\n"),
            (IGNORE_CANCEL, "[limits]\ndeadline_ms = 60000\n"),
            (TRAP, ""),
            (PANIC, ""),
            (EXIT, ""),
            (HUGE_ERROR, ""),
        ],
        &[],
    )
    .await;
    for (behaviour, guest, wanted) in [
        ("an endless loop", SPIN, ["`deadline_ms` of 1500", "backtrace"].as_slice()),
        ("a blocked host call", BLOCKED, &["`deadline_ms` of 1500", "NAME.toml: [limits] deadline_ms"]),
        ("a trap", TRAP, &["unreachable", "backtrace", "abort", "trap 0.1.0"]),
        ("a panic", PANIC, &["panicked", "the scan is upside down", "last_output"]),
        ("exit", EXIT, &["the runner called exit(1)"]),
        ("a reason of megabytes", HUGE_ERROR, &["no no no"]),
    ] {
        shared.check(behaviour, guest.name, Value::Null, Fails(wanted)).await;
    }
    ignores_cancellation(&mut shared).await;
    shared.close().await;
}

/// A runner that ignores a request to stop is ended all the same, and its place is free again.
async fn ignores_cancellation(shared: &mut SharedNode) {
    let behaviour = "a runner that ignores cancellation";
    shared.wait_live(IGNORE_CANCEL.name, 1).await;
    let began = Instant::now();
    let task = shared.submit(IGNORE_CANCEL.name, Value::Null);
    let neighbour = shared.neighbour();
    let running =
        shared.devnet.wait_for(task, Duration::from_secs(60), |task| task.status == TaskStatus::Running);
    let running = running.await.unwrap_or_else(|error| panic!("{behaviour}: {error}\n{}", shared.node.log()));
    shared.devnet.cancel_job(running.job_id).expect("cancelled");
    let state = shared.ended(behaviour, task).await;
    if state.status != TaskStatus::Canceled {
        shared.note(behaviour, format!("it should be cancelled: {state:?}"));
    }
    shared.node.wait_for_log("the runner was ended 2s after it was asked to stop").await;
    shared.finish(behaviour, began, neighbour, Some(task)).await;
    // All three places are in use again: one by the background task, two by these.
    let both = [shared.neighbour(), shared.neighbour()];
    for task in both {
        let state = shared.ended(behaviour, task).await;
        if state.status != TaskStatus::Completed {
            shared.note(behaviour, format!("its place is not free: {state:?}"));
        }
    }
}
