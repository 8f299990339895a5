//! What a failing run tells: the runner's own words, or the trap with its cause, its backtrace, the limit
//! that was reached and the last lines of output. Bounded, since it travels to DMS.

mod backtrace;

use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::ports::PortErrorKind;
use posemesh_text::{one_line, shorten};
use serde_json::{Map, Value, json};
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};

use crate::instance::bindings::posemesh::runner::types::RunError;
use crate::instance::call::{CallEnd, STOP_GRACE};
use crate::instance::failure::backtrace::{MAX_FRAMES, frames};
use crate::instance::runner_log::RunnerLog;
use crate::instance::usage::{RunUsage, millis};
use crate::instance::wit;
use crate::manifest::limits::{Limit, LimitReached, Limits};

/// The longest text that is taken from a runner, in bytes.
const MAX_TEXT: usize = 4000;
/// The longest root cause, in bytes.
const MAX_ROOT_CAUSE: usize = 1000;
/// The longest cause and line of the last output, in bytes.
const MAX_LINE: usize = 400;
/// The most causes that are reported; what follows is wasmtime's own.
const MAX_CAUSES: usize = 8;

/// Everything that is known when a run has failed.
pub(crate) struct FailureContext<'a> {
    /// The runner's label.
    pub(crate) runner: &'a str,
    pub(crate) limits: &'a Limits,
    pub(crate) usage: &'a RunUsage,
    pub(crate) log: &'a RunnerLog,
}

impl FailureContext<'_> {
    /// The runner returned an error.
    pub(crate) fn returned(&self, error: RunError) -> RunFailure {
        let (kind, reason) = match error {
            RunError::InvalidTask(text) => {
                (FailureKind::InvalidTask, format!("invalid task: {}", shorten(&text, MAX_TEXT)))
            }
            RunError::InvalidInput(text) => {
                (FailureKind::InvalidInput, format!("invalid input: {}", shorten(&text, MAX_TEXT)))
            }
            RunError::Cancelled => {
                (FailureKind::Cancelled, "the runner stopped because it was asked to".to_owned())
            }
            RunError::Failed(text) => (FailureKind::RunnerError, shorten(&text, MAX_TEXT).into_owned()),
            RunError::Port(error) => {
                let error = wit::returned_port_error(error);
                (kind_of(error.kind), format!("port error: {}", shorten(&error.text, MAX_TEXT)))
            }
        };
        self.failure(kind, reason, Map::new())
    }

    /// The run ended in another way.
    pub(crate) fn ended(&self, end: CallEnd) -> RunFailure {
        let mut details = Map::new();
        let (kind, reason) = match end {
            CallEnd::Deadline => reached(&self.limits.reached(Limit::DeadlineMs), &mut details),
            CallEnd::Limit(limit) => reached(&limit, &mut details),
            CallEnd::Stopped => (
                FailureKind::Cancelled,
                format!("the runner was ended {STOP_GRACE:?} after it was asked to stop"),
            ),
            CallEnd::Stuck => {
                (FailureKind::Stuck, "the runner can't be ended; the node needs a restart".to_owned())
            }
            CallEnd::Error(error) => self.error(&error, &mut details),
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
            .map(|cause| one_line(cause, MAX_LINE))
            .filter(|cause| !cause.starts_with("error while executing at wasm backtrace"))
            .take(MAX_CAUSES)
            .collect();
        details.insert("causes".to_owned(), json!(causes));
        if let Some(limit) = limit_of(error, self.usage.refused.as_ref(), self.limits) {
            // A guest that was refused memory mostly aborts: the refusal is the cause, the trap a symptom.
            details.insert("trap".to_owned(), json!(root_cause(error)));
            return reached(&limit, details);
        }
        // WASI's `exit` reaches the host as an error; it is the runner's own choice and no trap.
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
            root_cause(error)
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
        // The last one: a runner may catch or print earlier panics, and only the last can have ended it.
        let at = tail.iter().rposition(|line| line.contains("panicked at"))?;
        let lines: Vec<&str> = tail.iter().skip(at).take(2).map(String::as_str).collect();
        Some(shorten(&lines.join(" "), MAX_TEXT).into_owned())
    }

    fn failure(&self, kind: FailureKind, reason: String, mut details: Map<String, Value>) -> RunFailure {
        let (tail, dropped_lines) = self.log.tail();
        details.insert("runner".to_owned(), json!(self.runner));
        details.insert(
            "usage".to_owned(),
            json!({
                "memory_bytes": self.usage.memory_bytes,
                "cpu_time_ms": millis(self.usage.cpu_time),
            }),
        );
        // Left out when empty: the details travel to DMS, and an empty field says nothing.
        if !tail.is_empty() {
            let tail: Vec<String> = tail.iter().map(|line| shorten(line, MAX_LINE).into_owned()).collect();
            details.insert("last_output".to_owned(), json!(tail));
        }
        if dropped_lines > 0 {
            details.insert("dropped_output_lines".to_owned(), json!(dropped_lines));
        }
        RunFailure { details: Value::Object(details), ..RunFailure::new(kind, reason) }
    }
}

/// The limit that is behind an error, if one is.
pub(crate) fn limit_of(
    error: &wasmtime::Error,
    refused: Option<&LimitReached>,
    limits: &Limits,
) -> Option<LimitReached> {
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return Some(limit.clone());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(limits.reached(Limit::Handles));
    }
    // wasmtime has no type for this one.
    let too_many =
        |cause: &(dyn std::error::Error + 'static)| cause.to_string().starts_with("resource limit exceeded");
    if error.chain().any(too_many) {
        return Some(limits.reached(Limit::Instances));
    }
    // Last, since a refusal may have been coped with; an error that names its limit is the surer cause.
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
    let kind = match limit.limit {
        // A kind of its own: running out of time may depend on the node, other limits on the task.
        Limit::DeadlineMs => FailureKind::Deadline,
        _ => FailureKind::Limit,
    };
    (kind, limit.to_string())
}

/// What caused a wasmtime error, in words.
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "unreachable code was reached (a panic or an abort)".to_owned(),
        Some(Trap::StackOverflow) => "the stack overflowed".to_owned(),
        Some(trap) => trap.to_string(),
        None => one_line(error.root_cause(), MAX_ROOT_CAUSE),
    }
}

fn limit_json(LimitReached { limit, value }: &LimitReached) -> Value {
    let name = limit.as_str();
    json!({ "name": name, "value": value, "setting": format!("NAME.toml: [limits] {name}") })
}

/// A port error that a runner passed on says whose fault the failure is.
fn kind_of(kind: PortErrorKind) -> FailureKind {
    match kind {
        PortErrorKind::NotFound => FailureKind::InputNotFound,
        PortErrorKind::Invalid => FailureKind::PortInvalid,
        PortErrorKind::Denied => FailureKind::PortDenied,
        PortErrorKind::Limit => FailureKind::Limit,
        PortErrorKind::Corrupt => FailureKind::InputCorrupt,
        PortErrorKind::Unavailable => FailureKind::DomainServerUnavailable,
        PortErrorKind::Cancelled => FailureKind::Cancelled,
        PortErrorKind::Other => FailureKind::PortError,
    }
}

#[cfg(test)]
mod tests;
