//! Guests that print, report, store or request too much.

use posemesh_tests::guests::{
    CLOCK_FLOOD, EVENT_FLOOD, LOG_FLOOD, OUTPUT_FLOOD, PROGRESS_FLOOD, RANDOM_FLOOD,
};
use serde_json::Value;

use crate::shared_node::Expect::Fails;
use crate::shared_node::SharedNode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn floods_are_held_back_by_name() {
    let mut shared = SharedNode::with_guests(
        &[
            (LOG_FLOOD, "[limits]\nlog_bytes = 2000\n"),
            (EVENT_FLOOD, "[limits]\nevents_per_second = 1\n"),
            (PROGRESS_FLOOD, ""),
            (OUTPUT_FLOOD, "[limits]\noutput_bytes = 10000\n"),
            (CLOCK_FLOOD, "[limits]\nhandles = 100\n"),
            (RANDOM_FLOOD, ""),
        ],
        &[],
    )
    .await;
    for (behaviour, guest, wanted) in [
        ("a giant log", LOG_FLOOD, ["done talking", "dropped_output_lines"].as_slice()),
        ("an event flood", EVENT_FLOOD, &["dropped 49"]),
        (
            "a progress flood with huge JSON",
            PROGRESS_FLOOD,
            &["too large above 65536", "nested more than 127"],
        ),
        ("an output flood", OUTPUT_FLOOD, &["`output_bytes` of 10000"]),
        ("a clock flood", CLOCK_FLOOD, &["`handles` of 100"]),
        ("a random flood", RANDOM_FLOOD, &["`random_bytes` of 1MiB", "get_random_bytes"]),
    ] {
        shared.check(behaviour, guest.name, Value::Null, Fails(wanted)).await;
    }
    let log = shared.node.log();
    if log.contains('\u{1b}') {
        shared.note("a giant log", "an escape character reached the node's log".to_owned());
    }
    let lines = log.lines().filter(|line| line.contains("of a runner that talks too much")).count();
    if lines > 100 {
        shared.note("a giant log", format!("{lines} of its lines are in the node's log"));
    }
    shared.close().await;
}
