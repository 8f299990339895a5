//! What a failing run tells: the runner's own words, or the trap with its cause, its backtrace, the limit
//! that was reached and the last lines of output. Bounded, since it travels to DMS.

use serde_json::{Map, Value, json};
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};

use super::bindings::posemesh::runner::types::{PortError, RunError};
use super::component::one_line;
use super::guest::{GuestEnd, STOP_GRACE, Usage};
use super::limits::{LimitReached, Limits};
use super::runner_log::RunnerLog;
use posemesh_runner_api::failure::{FailureKind, RunFailure};

/// The longest text that is taken from a runner, in characters.
const MAX_TEXT: usize = 4000;
/// The longest line of a backtrace, of a cause and of the last output.
const MAX_LINE: usize = 400;
const MAX_FRAMES: usize = 32;
const MAX_CAUSES: usize = 8;

/// Everything that is known when a run has failed.
pub struct Circumstances<'a> {
    /// The runner's label.
    pub runner: &'a str,
    /// Its limits.
    pub limits: &'a Limits,
    /// What it used.
    pub usage: &'a Usage,
    /// What it printed.
    pub log: &'a RunnerLog,
}

impl Circumstances<'_> {
    /// The runner returned an error.
    pub fn returned(&self, error: RunError) -> RunFailure {
        let (kind, reason) = match error {
            RunError::InvalidTask(text) => {
                (FailureKind::InvalidTask, format!("invalid task: {}", bounded(&text, MAX_TEXT)))
            }
            RunError::InvalidInput(text) => {
                (FailureKind::InvalidInput, format!("invalid input: {}", bounded(&text, MAX_TEXT)))
            }
            RunError::Cancelled => {
                (FailureKind::Cancelled, "the runner stopped because it was asked to".to_owned())
            }
            RunError::Failed(text) => (FailureKind::RunnerError, bounded(&text, MAX_TEXT)),
            RunError::Port(error) => {
                let (kind, text) = port(&error);
                (kind, format!("port error: {}", bounded(text, MAX_TEXT)))
            }
        };
        self.failure(kind, reason, Map::new())
    }

    /// The run ended in another way.
    pub fn ended(&self, end: GuestEnd) -> RunFailure {
        let mut details = Map::new();
        let (kind, reason) = match end {
            GuestEnd::Deadline => {
                let limit = LimitReached { name: "deadline_ms", value: self.limits.deadline_ms };
                reached(&limit, &mut details)
            }
            GuestEnd::Limit(limit) => reached(&limit, &mut details),
            GuestEnd::Stopped => (
                FailureKind::Cancelled,
                format!("the runner was ended {STOP_GRACE:?} after it was asked to stop"),
            ),
            GuestEnd::Stuck => {
                (FailureKind::Stuck, "the runner can't be ended; the node needs a restart".to_owned())
            }
            GuestEnd::Error(error) => self.error(&error, &mut details),
        };
        self.failure(kind, reason, details)
    }

    fn error(&self, error: &wasmtime::Error, details: &mut Map<String, Value>) -> (FailureKind, String) {
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            details.insert("backtrace".to_owned(), json!(frames(backtrace)));
        }
        let causes: Vec<String> = error
            .chain()
            // The backtrace is a cause to wasmtime; it has its own field.
            .map(|cause| bounded(cause.to_string().trim(), MAX_LINE))
            .filter(|cause| !cause.starts_with("error while executing at wasm backtrace"))
            .take(MAX_CAUSES)
            .collect();
        details.insert("causes".to_owned(), json!(causes));
        if let Some(limit) = limit_of(error, self.usage.refused.as_ref(), self.limits) {
            // A guest that was refused memory mostly aborts: the refusal is the cause, the trap a symptom.
            details.insert("trap".to_owned(), json!(root(error)));
            return reached(&limit, details);
        }
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return (
                FailureKind::Exit,
                format!("the runner called exit({}); it should return from `run`", exit.0),
            );
        }
        let cause = if is_deep_recursion(error) {
            "out of bounds memory access many calls deep: most likely its stack overflowed in an endless recursion"
                .to_owned()
        } else {
            root(error)
        };
        details.insert("trap".to_owned(), json!(cause));
        match self.panic_message() {
            Some(message) => (FailureKind::Trap, format!("the runner panicked: {message}")),
            None => (FailureKind::Trap, format!("the runner trapped: {cause}")),
        }
    }

    /// What a Rust runner printed as it panicked: where, and on the next line what.
    fn panic_message(&self) -> Option<String> {
        let (tail, _) = self.log.tail();
        let at = tail.iter().rposition(|line| line.contains("panicked at"))?;
        let lines: Vec<&str> = tail.iter().skip(at).take(2).map(String::as_str).collect();
        Some(bounded(&lines.join(" "), MAX_TEXT))
    }

    fn failure(&self, kind: FailureKind, reason: String, mut details: Map<String, Value>) -> RunFailure {
        let (tail, dropped_lines) = self.log.tail();
        details.insert("runner".to_owned(), json!(self.runner));
        details.insert(
            "usage".to_owned(),
            json!({
                "memory_bytes": self.usage.memory_bytes,
                "cpu_time_ms": u64::try_from(self.usage.cpu_time.as_millis()).unwrap_or(u64::MAX),
            }),
        );
        if !tail.is_empty() {
            let tail: Vec<String> = tail.iter().map(|line| bounded(line, MAX_LINE)).collect();
            details.insert("last_output".to_owned(), json!(tail));
        }
        if dropped_lines > 0 {
            details.insert("dropped_output_lines".to_owned(), json!(dropped_lines));
        }
        RunFailure { kind, reason, details: Value::Object(details) }
    }
}

/// The limit that is behind an error, if one is.
pub fn limit_of(
    error: &wasmtime::Error,
    refused: Option<&LimitReached>,
    limits: &Limits,
) -> Option<LimitReached> {
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return Some(limit.clone());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(LimitReached { name: "handles", value: limits.handles });
    }
    // wasmtime has no type for this one.
    let too_many =
        |cause: &(dyn std::error::Error + 'static)| cause.to_string().starts_with("resource limit exceeded");
    if error.chain().any(too_many) {
        return Some(LimitReached { name: "instances", value: limits.instances });
    }
    refused.cloned()
}

/// Compilers keep a stack of their own in the runner's memory; when that overflows, wasmtime only sees an
/// address that is out of bounds.
fn is_deep_recursion(error: &wasmtime::Error) -> bool {
    let out_of_bounds = matches!(error.downcast_ref(), Some(Trap::MemoryOutOfBounds));
    let deep = |backtrace: &WasmBacktrace| backtrace.frames().len() >= MAX_FRAMES;
    out_of_bounds && error.downcast_ref().is_some_and(deep)
}

/// A limit as the cause of the end.
fn reached(limit: &LimitReached, details: &mut Map<String, Value>) -> (FailureKind, String) {
    details.insert("limit".to_owned(), limit_json(limit));
    let kind = if limit.name == "deadline_ms" { FailureKind::Deadline } else { FailureKind::Limit };
    (kind, limit.to_string())
}

/// The frames of a backtrace, innermost first, with the names that the source has.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let text = backtrace.to_string();
    // A frame begins with its number; the line before the first is a heading.
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    lines.take(MAX_FRAMES).map(|line| bounded(without_hash(line), MAX_LINE)).collect()
}

/// A frame without the hash that Rust appends to its names.
fn without_hash(frame: &str) -> &str {
    match frame.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => frame,
    }
}

/// What caused a wasmtime error, in words.
pub fn root(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "unreachable code was reached (a panic or an abort)".to_owned(),
        Some(Trap::StackOverflow) => "the stack overflowed".to_owned(),
        Some(trap) => trap.to_string(),
        None => one_line(&wasmtime::Error::msg(error.root_cause().to_string())),
    }
}

fn limit_json(limit: &LimitReached) -> Value {
    json!({ "name": limit.name, "value": limit.value, "setting": format!("NAME.toml: [limits] {}", limit.name) })
}

fn port(error: &PortError) -> (FailureKind, &str) {
    match error {
        PortError::NotFound(text) => (FailureKind::InputNotFound, text),
        PortError::Invalid(text) => (FailureKind::PortInvalid, text),
        PortError::Denied(text) => (FailureKind::PortDenied, text),
        PortError::Limit(text) => (FailureKind::Limit, text),
        PortError::Corrupt(text) => (FailureKind::InputCorrupt, text),
        PortError::Unavailable(text) => (FailureKind::DomainServerUnavailable, text),
        PortError::Cancelled => (FailureKind::Cancelled, "the task was cancelled"),
        PortError::Other(text) => (FailureKind::PortError, text),
    }
}

/// At most so much of a text, cut between characters.
fn bounded(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} ...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
