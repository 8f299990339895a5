//! How a run fails, and whose fault it was.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whose fault a failure is. It decides who is judged by it: a runner by its own failures alone, the node and the
/// domain servers by theirs. The words are stable: they stand in `fail.details`, in metrics and in log lines.
///
/// ```
/// use posemesh_runner_api::failure::{Blame, FailureKind};
///
/// assert_eq!(FailureKind::Trap.blame(), Blame::Runner);
/// assert_eq!(FailureKind::DomainServerUnavailable.blame().to_string(), "server");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The task can't be done as it was submitted, or it was cancelled.
    Task,
    /// The runner is wrong, or used more than it was granted.
    Runner,
    /// This node: a full disk, no memory, no descriptors, a folder that went.
    Host,
    /// A server that the task needs.
    Server,
}

impl Blame {
    /// Every case, for metrics.
    pub const ALL: [Self; 4] = [Self::Task, Self::Runner, Self::Host, Self::Server];

    /// The blame as one word, as in `fail.details.failure.blame` (protocol 3.6).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Runner => "runner",
            Self::Host => "host",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of failure ended a run. The words are stable: they stand in `fail.details`, in metrics and in
/// the `failure.json` of test cases.
///
/// ```
/// use posemesh_runner_api::failure::FailureKind;
///
/// assert_eq!(FailureKind::InvalidInput.to_string(), "invalid_input");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The runner refused the task's parameters.
    InvalidTask,
    /// The runner refused the bytes of an input.
    InvalidInput,
    /// Another error that the runner returned.
    RunnerError,
    /// The runner trapped or panicked.
    Trap,
    /// The runner ended itself instead of returning.
    Exit,
    /// The runner reached one of its limits.
    Limit,
    /// The runner reached its deadline.
    Deadline,
    /// The runner was asked to stop.
    Cancelled,
    /// The runner could not be ended.
    Stuck,
    /// The runner's process ended under it: a crash of the sandbox, or the kernel ended it.
    Crashed,
    /// The host could not run it.
    Host,
    /// A port has no such input, part or file.
    InputNotFound,
    /// A port refused what the runner asked for.
    PortInvalid,
    /// The domain server or the node did not allow it.
    PortDenied,
    /// The bytes of an input are not what was announced.
    InputCorrupt,
    /// The domain server can't be reached or keeps failing.
    DomainServerUnavailable,
    /// Another failure of a port.
    PortError,
}

impl FailureKind {
    /// Every case, for metrics.
    pub const ALL: [Self; 17] = [
        Self::InvalidTask,
        Self::InvalidInput,
        Self::RunnerError,
        Self::Trap,
        Self::Exit,
        Self::Limit,
        Self::Deadline,
        Self::Cancelled,
        Self::Stuck,
        Self::Crashed,
        Self::Host,
        Self::InputNotFound,
        Self::PortInvalid,
        Self::PortDenied,
        Self::InputCorrupt,
        Self::DomainServerUnavailable,
        Self::PortError,
    ];

    /// The kind as one word, as in `fail.details.failure.kind` (protocol 3.6).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidTask => "invalid_task",
            Self::InvalidInput => "invalid_input",
            Self::RunnerError => "runner_error",
            Self::Trap => "trap",
            Self::Exit => "exit",
            Self::Limit => "limit",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
            Self::Crashed => "crashed",
            Self::Host => "host",
            Self::InputNotFound => "input_not_found",
            Self::PortInvalid => "port_invalid",
            Self::PortDenied => "port_denied",
            Self::InputCorrupt => "input_corrupt",
            Self::DomainServerUnavailable => "domain_server_unavailable",
            Self::PortError => "port_error",
        }
    }

    /// Whose fault a failure of this kind is as long as nothing else is known of it.
    pub const fn blame(self) -> Blame {
        match self {
            Self::InvalidTask | Self::InvalidInput | Self::InputNotFound | Self::Cancelled => Blame::Task,
            Self::RunnerError
            | Self::Trap
            | Self::Exit
            | Self::Limit
            | Self::Deadline
            | Self::Stuck
            | Self::Crashed
            | Self::PortInvalid
            | Self::PortDenied => Blame::Runner,
            Self::Host => Blame::Host,
            Self::InputCorrupt | Self::DomainServerUnavailable | Self::PortError => Blame::Server,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The failure of a run, with what `fail` reports of it (protocol 3.6).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct RunFailure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// Whose fault it was: that of the kind, unless more is known.
    pub blame: Blame,
    /// The chain of causes in one line of bounded length: the `reason` of `fail`.
    pub reason: String,
    /// An object of bounded size for `fail.details.failure`, such as a backtrace, the limit that was
    /// reached or the last output; or null.
    pub details: Value,
}

impl RunFailure {
    /// A failure of this kind, blamed as [`FailureKind::blame`] says, without details.
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, blame: kind.blame(), reason: reason.into(), details: Value::Null }
    }

    /// A failure of the node's runner host: neither the task nor the runner is to blame.
    pub fn host(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Host, reason)
    }

    /// The same failure, blamed on somebody else.
    #[must_use]
    pub fn blamed_on(self, blame: Blame) -> Self {
        Self { blame, ..self }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_same_word_everywhere() {
        for kind in [FailureKind::InvalidTask, FailureKind::DomainServerUnavailable, FailureKind::PortError] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
