//! What a failing run tells: the runner's own words, or the trap with its cause, its backtrace, the limit
//! that was reached and the last lines of output. Bounded, since it travels to DMS, and each text on one line and escaped,
//! since it is shown in logs and on terminals: nothing leaves here as the runner wrote it.

mod backtrace;
mod cause;
mod described;
mod stop;
mod words;

use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_text::{one_line, shorten};
use serde_json::{Map, Value, json};
use wasmtime::{Trap, WasmBacktrace};

use crate::instance::bindings::posemesh::runner::types::Error;
use crate::instance::call::{CallEnd, STOP_GRACE};
use crate::instance::failure::backtrace::{MAX_FRAMES, frames};
use crate::instance::failure::cause::{Cause, cause, root_cause};
use crate::instance::failure::stop::{blame_after_stop, with_stop};
use crate::instance::memory::RefusedGrowth;
use crate::instance::runner_log::RunnerLog;
use crate::instance::usage::{RunUsage, millis};
use crate::manifest::fixed_limit::FixedLimit;
use crate::manifest::limits::{Limit, LimitReached, Limits};

pub(crate) use described::{limit_in_describe, why_not_described};
pub(crate) use words::own_words;

/// The longest text that is taken from a runner, in bytes.
const MAX_TEXT: usize = 4000;
/// How wasmtime begins the text of a backtrace.
const BACKTRACE_HEAD: &str = "error while executing at wasm backtrace";
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
    /// The runner returned an error; `port_cancelled` when a port has told it that the task is being stopped.
    pub(crate) fn returned(&self, error: Error, port_cancelled: bool) -> RunFailure {
        let text = |text: &str| one_line(text, MAX_TEXT);
        let of_port = |kind, said: &str| (kind, format!("port error: {}", text(said)));
        let (kind, reason) = match error {
            Error::InvalidTask(said) => (FailureKind::InvalidTask, format!("invalid task: {}", text(&said))),
            Error::InvalidInput(said) => {
                (FailureKind::InvalidInput, format!("invalid input: {}", text(&said)))
            }
            Error::Failed(said) if said.trim().is_empty() => {
                (FailureKind::RunnerError, "the runner failed and gave no reason".to_owned())
            }
            Error::Failed(said) => (FailureKind::RunnerError, text(&said)),
            Error::Cancelled if port_cancelled || self.usage.stopped.is_some() => {
                (FailureKind::Cancelled, "the runner stopped because it was asked to".to_owned())
            }
            Error::Cancelled => (
                FailureKind::RunnerError,
                "the runner returned `cancelled`, though nobody asked it to stop".to_owned(),
            ),
            // A port error that a runner passed on says whose fault the failure is.
            Error::NotFound(said) => of_port(FailureKind::InputNotFound, &said),
            Error::InvalidCall(said) => of_port(FailureKind::PortInvalid, &said),
            Error::Denied(said) => of_port(FailureKind::PortDenied, &said),
            Error::Limit(said) => of_port(FailureKind::Limit, &said),
            Error::Corrupt(said) => of_port(FailureKind::InputCorrupt, &said),
            Error::Unavailable(said) => of_port(FailureKind::DomainServerUnavailable, &said),
            Error::PortFailed(said) => of_port(FailureKind::PortError, &said),
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
            CallEnd::Host(what) => (FailureKind::Host, shorten(&what, MAX_TEXT).into_owned()),
        };
        self.failure(kind, reason, details)
    }

    fn error(&self, error: &wasmtime::Error, details: &mut Map<String, Value>) -> (FailureKind, String) {
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            details.insert("backtrace".to_owned(), json!(frames(backtrace)));
        }
        let causes: Vec<String> = error
            .chain()
            // The backtrace is a cause to wasmtime; it has its own field. Its head tells, without a name of the guest's.
            .filter(|cause| !one_line(cause, BACKTRACE_HEAD.len()).starts_with(BACKTRACE_HEAD))
            .map(|cause| one_line(cause, MAX_LINE))
            .take(MAX_CAUSES)
            .collect();
        details.insert("causes".to_owned(), json!(causes));
        let refused = self.usage.refused.as_ref();
        match cause(error, refused, self.limits) {
            Cause::Limit(limit) => reached(&limit, details),
            Cause::Fixed(limit) => {
                details.insert("limit".to_owned(), fixed_limit_json(limit));
                let told = root_cause(error);
                details.insert("trap".to_owned(), json!(told));
                (FailureKind::Limit, format!("{limit}: {told}"))
            }
            Cause::Refused(RefusedGrowth { limit, .. }, trap) => {
                details.insert("trap".to_owned(), json!(trap));
                let (kind, reason) = reached(&limit, details);
                (kind, format!("{reason}; it was refused more, and then: {trap}"))
            }
            // WASI's `exit` reaches the host as an error; it is the runner's own choice and no trap.
            Cause::Exit(code) => {
                let reason = format!("the runner called exit({code}); it should return from `run`");
                (FailureKind::Exit, self.with_refusal(reason, details))
            }
            Cause::Host(error) => {
                (FailureKind::Host, format!("the node could not go on with the runner: {error}"))
            }
            Cause::Trap(_) if is_deep_recursion(error) => {
                let trap = "out of bounds memory access many calls deep: most likely its stack overflowed in an \
                            endless recursion";
                self.trapped(trap, details)
            }
            Cause::Trap(trap) => self.trapped(&trap, details),
        }
    }

    fn trapped(&self, trap: &str, details: &mut Map<String, Value>) -> (FailureKind, String) {
        details.insert("trap".to_owned(), json!(trap));
        let reason = match own_words(&self.log.tail().0, MAX_TEXT) {
            // Beside the trap and not in its place: they may be of an error that the runner coped with.
            Some(words) => format!("the runner {words} ({trap})"),
            None => format!("the runner trapped: {trap}"),
        };
        (FailureKind::Trap, self.with_refusal(reason, details))
    }

    /// Adds that a growth was refused earlier: it may matter, and it is not the cause.
    fn with_refusal(&self, reason: String, details: &mut Map<String, Value>) -> String {
        let Some(RefusedGrowth { limit, .. }) = &self.usage.refused else { return reason };
        details.insert("refused_earlier".to_owned(), limit_json(limit));
        let (limit, value) = (limit.limit, limit.in_words());
        format!("{reason} (earlier, more was refused to it by its limit `{limit}` of {value})")
    }

    fn failure(&self, kind: FailureKind, reason: String, mut details: Map<String, Value>) -> RunFailure {
        let (tail, dropped_lines) = self.log.tail();
        details.insert("runner".to_owned(), json!(self.runner));
        // Nothing is known of a guest that did not come back: zeros would be untrue.
        if self.usage.memory_bytes > 0 || !self.usage.cpu_time.is_zero() {
            details.insert(
                "usage".to_owned(),
                json!({
                    "memory_bytes": self.usage.memory_bytes,
                    "cpu_time_ms": millis(self.usage.cpu_time),
                }),
            );
        }
        // Left out when empty: the details travel to DMS, and an empty field says nothing.
        if !tail.is_empty() {
            let tail: Vec<String> = tail.iter().map(|line| shorten(line, MAX_LINE).into_owned()).collect();
            details.insert("last_output".to_owned(), json!(tail));
        }
        if dropped_lines > 0 {
            details.insert("dropped_output_lines".to_owned(), json!(dropped_lines));
        }
        let (blame, reason) = match self.usage.stopped {
            Some(stop) => (blame_after_stop(kind), with_stop(kind, reason, stop)),
            None => (kind.blame(), reason),
        };
        RunFailure { kind, blame, reason, details: Value::Object(details) }
    }
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

fn limit_json(LimitReached { limit, value }: &LimitReached) -> Value {
    let name = limit.as_str();
    json!({ "name": name, "value": value, "setting": format!("NAME.toml: [limits] {name}") })
}

fn fixed_limit_json(limit: FixedLimit) -> Value {
    json!({ "name": limit.as_str(), "value": limit.bytes(), "setting": "none: it is the same for every runner" })
}

#[cfg(test)]
mod tests;
