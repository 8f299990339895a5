//! Frames that a sandbox process sends to its node, a line each: whatever a guest may send that has taken it over.

use std::sync::Arc;

use posemesh_plugin_host::sandbox::taken_over::hear;

use super::ports::{Artifacts, Inputs};
use super::shown::is_showable;

/// The longest text that says what is wrong with a frame.
const MAX_WRONG: usize = 210;
/// The most events that wait for a heartbeat, in bytes.
const MAX_EVENTS: usize = 256 << 10;

/// Takes the frames, and panics where something does not hold.
pub fn holds(input: &[u8]) {
    let frames: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let heard = runtime.block_on(hear(&frames, Arc::new(Inputs), Arc::new(Artifacts)));
    let heard = heard.expect("a channel");
    assert!(heard.taken <= frames.len());
    if let Some(refused) = &heard.refused {
        is_showable(refused, MAX_WRONG);
    }
    let reported = heard.reports.snapshot();
    let bytes: usize = reported.events.iter().map(|event| event.as_str().len()).sum();
    assert!(bytes <= MAX_EVENTS, "{bytes} bytes of events");
    heard.lines.iter().for_each(|line| is_showable(line, 10_000));
}
