//! Runners that say, store or ask for too much.

use serde_json::Value;

use crate::pen::{Expect::Fails, Pen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_held_back_by_name() {
    let mut pen = Pen::open(
        &[
            ("log_flood", "[limits]\nlog_bytes = 2000\n"),
            ("event_flood", "[limits]\nevents_per_second = 1\n"),
            ("progress_flood", ""),
            ("output_flood", "[limits]\noutput_bytes = 10000\n"),
            ("clock_flood", "[limits]\nhandles = 100\n"),
            ("random_flood", ""),
        ],
        &[],
    )
    .await;
    for (behaviour, name, wanted) in [
        ("a giant log", "log_flood", ["done talking", "dropped_output_lines"].as_slice()),
        ("an event flood", "event_flood", &["dropped 49"]),
        ("a progress flood with huge JSON", "progress_flood", &["too large above 65536", "recursion limit"]),
        ("an output flood", "output_flood", &["`output_bytes` of 10000"]),
        ("a clock flood", "clock_flood", &["`handles` of 100"]),
        ("a random flood", "random_flood", &["exceeds limit 1048576", "get_random_bytes"]),
    ] {
        pen.check(behaviour, name, Value::Null, Fails(wanted)).await;
    }
    let log = pen.node.log();
    if log.contains('\u{1b}') {
        pen.fault("a giant log", "an escape character reached the node's log".to_owned());
    }
    let lines = log.lines().filter(|line| line.contains("of a runner that talks too much")).count();
    if lines > 100 {
        pen.fault("a giant log", format!("{lines} of its lines are in the node's log"));
    }
    pen.close().await;
}
