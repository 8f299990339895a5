use std::time::Duration;

use posemesh_runner_api::failure::Blame;
use posemesh_runner_api::reports::StopReason;
use tracing::Span;
use wasmtime::component::ResourceTableError;

use super::*;

fn failure_of(end: CallEnd, refused: Option<LimitReached>, output: &str) -> RunFailure {
    let log = RunnerLog::new(1 << 20, Span::none());
    log.line("stderr", tracing::Level::INFO, output);
    let refused = refused.map(|limit| RefusedGrowth {
        limit,
        grown_since: false,
        lines_before: log.lines(),
        log: log.clone(),
    });
    let usage = RunUsage { memory_bytes: 7, cpu_time: Duration::from_millis(3), refused, stopped: None };
    let limits = Limits::default();
    FailureContext { runner: "test 1.0.0 #1", limits: &limits, usage: &usage, log: &log }.ended(end)
}

fn refused_memory() -> LimitReached {
    LimitReached { limit: Limit::MemoryBytes, value: 9 }
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
fn the_refusal_of_memory_is_the_cause_of_the_abort_that_follows_and_the_abort_is_told() {
    let end = CallEnd::Error(Trap::UnreachableCodeReached.into());
    let failure = failure_of(end, Some(refused_memory()), "");
    assert_eq!(failure.kind, FailureKind::Limit);
    for part in ["`memory_bytes` of 9", "unreachable code was reached"] {
        assert!(failure.reason.contains(part), "{part:?} is not in {}", failure.reason);
    }
    assert!(failure.details.get("trap").is_some(), "{}", failure.details);
    assert_eq!(failure.details.pointer("/limit/name"), Some(&json!("memory_bytes")));
}

#[test]
fn a_division_by_zero_after_a_refused_growth_is_told_as_such_with_the_refusal_beside_it() {
    let end = CallEnd::Error(Trap::IntegerDivisionByZero.into());
    let failure = failure_of(end, Some(refused_memory()), "");
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(
        failure.reason.starts_with("the runner trapped: wasm trap: integer divide by zero"),
        "{}",
        failure.reason
    );
    assert!(
        failure.reason.contains("earlier, more was refused to it by its limit `memory_bytes` of 9"),
        "{}",
        failure.reason
    );
    assert_eq!(failure.details.get("limit"), None, "no limit ended it");
    assert_eq!(failure.details.pointer("/refused_earlier/name"), Some(&json!("memory_bytes")));
}

#[test]
fn what_the_node_does_not_have_is_the_hosts_fault() {
    let no_memory = std::io::Error::from_raw_os_error(12);
    let failure = failure_of(CallEnd::Error(wasmtime::Error::from(no_memory).context("mmap")), None, "");
    assert_eq!((failure.kind, failure.blame), (FailureKind::Host, Blame::Host), "{}", failure.reason);
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
fn a_limit_that_nobody_sets_is_reported_by_its_name_too() {
    for limit in FixedLimit::ALL {
        let bytes = posemesh_text::ByteSize(limit.bytes() as u64);
        assert!(limit.to_string().contains(&format!("`{}` of {bytes}", limit.as_str())), "{limit}");
    }
    let failure = failure_of(CallEnd::Error(Trap::StackOverflow.into()), None, "");
    assert_eq!((failure.kind, failure.blame), (FailureKind::Limit, Blame::Runner));
    assert!(failure.reason.contains("`stack_bytes` of 1MiB"), "{}", failure.reason);
    assert!(failure.reason.ends_with("the stack overflowed"), "{}", failure.reason);
    let limit =
        json!({"name": "stack_bytes", "value": 1 << 20, "setting": "none: it is the same for every runner"});
    assert_eq!(failure.details.get("limit"), Some(&limit));
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

/// Everything that is reported, as one text for each string in it.
fn texts(failure: &RunFailure) -> Vec<String> {
    fn collect(value: &Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
            Value::Object(fields) => fields.values().for_each(|field| collect(field, texts)),
            _ => {}
        }
    }
    let mut texts = vec![failure.reason.clone()];
    collect(&failure.details, &mut texts);
    texts
}

/// How a run is told whose runner returned this error.
fn returned(error: Error, stopped: Option<StopReason>) -> RunFailure {
    let log = RunnerLog::new(1 << 20, Span::none());
    let (limits, usage) = (Limits::default(), RunUsage { stopped, ..RunUsage::default() });
    FailureContext { runner: "test 1.0.0 #1", limits: &limits, usage: &usage, log: &log }
        .returned(error, false)
}

#[test]
fn nothing_that_a_runner_says_moves_a_cursor_or_makes_a_line() {
    const FORGED: &str = "x\n2026-01-01T00:00:00Z INFO forged\r\u{1b}[2J\u{202e}\u{2028}";
    let errors: [fn(String) -> Error; 4] =
        [Error::Failed, Error::InvalidTask, Error::InvalidInput, Error::PortFailed];
    let mut failures: Vec<RunFailure> =
        errors.iter().map(|error| returned(error(FORGED.to_owned()), None)).collect();
    let output = format!("thread 'main' panicked at src/lib.rs:7:5:\n{FORGED}");
    for error in
        [wasmtime::Error::from(Trap::UnreachableCodeReached), wasmtime::Error::msg(FORGED).context(FORGED)]
    {
        failures.push(failure_of(CallEnd::Error(error), None, &output));
    }
    for failure in failures {
        let texts = texts(&failure);
        assert!(texts.iter().all(|text| posemesh_text::is_plain(text)), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("forged")), "it is shown all the same: {texts:?}");
    }
}

#[test]
fn a_runner_that_says_it_was_cancelled_is_believed_only_if_it_was_asked_to_stop() {
    let failure = returned(Error::Cancelled, Some(StopReason::Shutdown));
    assert_eq!((failure.kind, failure.blame), (FailureKind::Cancelled, Blame::Task));
    let failure = returned(Error::Cancelled, None);
    assert_eq!((failure.kind, failure.blame), (FailureKind::RunnerError, Blame::Runner));
    assert!(failure.reason.contains("nobody asked it to stop"), "{}", failure.reason);
}
