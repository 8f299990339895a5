//! The log of a process: a program of its own, for it takes the panics and the log of all that runs in it.

#![allow(clippy::unwrap_used)]

use posemesh_node_core::telemetry::{LogSettings, TelemetryError, filter, init, set_filter};

#[test]
fn a_second_start_is_an_error_and_no_panic_and_the_filter_is_changed_at_run_time() {
    let settings = LogSettings { filter: "off".to_owned(), ..LogSettings::default() };
    let _first = init(&settings).unwrap();
    assert!(matches!(init(&settings), Err(TelemetryError::Installed)));
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    set_filter("debug").unwrap();
    assert!(tracing::enabled!(tracing::Level::DEBUG) && filter().as_deref() == Some("debug"));
    assert!(matches!(set_filter("posemesh=loud"), Err(TelemetryError::Filter { .. })));
    assert_eq!(filter().as_deref(), Some("debug"), "a wrong one changes nothing");
    set_filter("off").unwrap();
    assert!(!tracing::enabled!(tracing::Level::ERROR));
}
