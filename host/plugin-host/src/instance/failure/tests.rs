use std::time::Duration;

use tracing::Span;

use super::*;

fn failure_of(end: CallEnd, refused: Option<LimitReached>, output: &str) -> RunFailure {
    let log = RunnerLog::new(1 << 20, Span::none());
    log.line("stderr", tracing::Level::INFO, output);
    let usage = RunUsage { memory_bytes: 7, cpu_time: Duration::from_millis(3), refused };
    let limits = Limits::default();
    FailureContext { runner: "test 1.0.0 #1", limits: &limits, usage: &usage, log: &log }.ended(end)
}

#[test]
fn a_limit_is_reported_with_value_and_setting() {
    let failure =
        failure_of(CallEnd::Error(LimitReached { limit: Limit::CpuTimeMs, value: 5 }.into()), None, "");
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.reason.contains("`cpu_time_ms` of 5"), "{}", failure.reason);
    let limit = json!({"name": "cpu_time_ms", "value": 5, "setting": "NAME.toml: [limits] cpu_time_ms"});
    assert_eq!(failure.details.get("limit"), Some(&limit));
    assert_eq!(failure_of(CallEnd::Deadline, None, "").kind, FailureKind::Deadline);
}

#[test]
fn the_refusal_of_memory_is_the_cause_of_the_abort_that_follows() {
    let refused = LimitReached { limit: Limit::MemoryBytes, value: 9 };
    let failure = failure_of(CallEnd::Error(Trap::UnreachableCodeReached.into()), Some(refused), "");
    assert!(failure.reason.contains("`memory_bytes` of 9"), "{}", failure.reason);
    assert!(failure.details.get("trap").is_some(), "{}", failure.details);
}

#[test]
fn causes_are_reported_from_the_outside_in_and_a_full_table_by_its_limit() {
    let error = wasmtime::Error::msg("the root").context("outside");
    let failure = failure_of(CallEnd::Error(error), None, "");
    assert_eq!(failure.details.get("causes"), Some(&json!(["outside", "the root"])));
    assert!(failure.reason.contains("the root"), "{}", failure.reason);
    let failure = failure_of(CallEnd::Error(ResourceTableError::Full.into()), None, "");
    assert!(failure.reason.contains("`handles` of 1024"), "{}", failure.reason);
}

#[test]
fn a_panic_is_reported_in_the_runners_words_with_its_last_output() {
    let output = "thread 'main' panicked at src/lib.rs:7:5:\nupside down";
    let failure = failure_of(CallEnd::Error(Trap::UnreachableCodeReached.into()), None, output);
    assert!(failure.reason.contains("src/lib.rs:7:5: upside down"), "{}", failure.reason);
    assert_eq!(failure.details.pointer("/last_output/1"), Some(&json!("upside down")));
}

#[test]
fn whatever_a_runner_says_what_is_reported_stays_small() {
    let output = "x".repeat(2000).lines().cycle().take(500).collect::<Vec<_>>().join("\n");
    let error = wasmtime::Error::msg("y".repeat(1 << 20));
    let failure = failure_of(CallEnd::Error(error), None, &output);
    assert!(failure.reason.len() < 8 << 10, "{}", failure.reason.len());
    assert!(failure.details.to_string().len() < 32 << 10, "{}", failure.details.to_string().len());
}
