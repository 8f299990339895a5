//! Runners that don't end, and runners that end in a way of their own.

use std::time::{Duration, Instant};

use posemesh_devnet::TaskStatus;
use serde_json::Value;

use crate::pen::{Expect::Fails, Pen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_that_do_not_return_are_ended_by_name() {
    let short = "[limits]\ndeadline_ms = 1500\n";
    let mut pen = Pen::open(
        &[
            ("spin", short),
            ("blocked", short),
            ("copy", "[limits]\ncpu_time_ms = 700\n"),
            ("ignore_cancel", "[limits]\ndeadline_ms = 60000\n"),
            ("trap", ""),
            ("panic", ""),
            ("exit", ""),
            ("huge_error", ""),
        ],
        &[],
    )
    .await;
    for (behaviour, name, wanted) in [
        ("an endless loop", "spin", ["`deadline_ms` of 1500", "backtrace"].as_slice()),
        ("a blocked host call", "blocked", &["`deadline_ms` of 1500", "NAME.toml: [limits] deadline_ms"]),
        ("a trap", "trap", &["unreachable", "backtrace", "abort", "trap 0.1.0"]),
        ("a panic", "panic", &["panicked", "the scan is upside down", "last_output"]),
        ("exit", "exit", &["the runner called exit(1)"]),
        ("a reason of megabytes", "huge_error", &["no no no"]),
    ] {
        pen.check(behaviour, name, Value::Null, Fails(wanted)).await;
    }
    ignores_cancellation(&mut pen).await;
    pen.close().await;
}

/// A runner that is told to stop and does not is ended all the same, and its place is free again.
async fn ignores_cancellation(pen: &mut Pen) {
    let behaviour = "a runner that ignores cancellation";
    let began = Instant::now();
    let task = pen.submit("ignore_cancel", Value::Null);
    let neighbour = pen.neighbour();
    let running =
        pen.devnet.wait_for(task, Duration::from_secs(60), |task| task.status == TaskStatus::Running);
    let running = running.await.unwrap_or_else(|error| panic!("{behaviour}: {error}\n{}", pen.node.log()));
    pen.devnet.cancel_job(running.job_id).expect("cancelled");
    let state = pen.ended(behaviour, task).await;
    if state.status != TaskStatus::Canceled {
        pen.fault(behaviour, format!("it should be cancelled: {state:?}"));
    }
    pen.node.wait_for_log("the runner was ended 2s after it was asked to stop").await;
    pen.finish(behaviour, began, neighbour, Some(task)).await;
    // All three places are free again: the marathon has one, these two take the others.
    let both = [pen.neighbour(), pen.neighbour()];
    for task in both {
        let state = pen.ended(behaviour, task).await;
        if state.status != TaskStatus::Completed {
            pen.fault(behaviour, format!("its place is not free: {state:?}"));
        }
    }
}
