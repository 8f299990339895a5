//! How a lease ends. Every lease has exactly one [`Ending`].

use std::fmt;

use crate::heartbeat::Condition;

/// The end of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The result is with the server.
    Completed {
        /// Whether the server said so. If not, an answer was cut off and the server then knew of no
        /// lease any more, as it does after a completion.
        confirmed: bool,
    },
    /// The server was told that it failed, and why.
    Failed {
        /// What it was told.
        reason: String,
        /// As in `Completed`.
        confirmed: bool,
    },
    /// The server wanted it stopped.
    Cancelled,
    /// It is not ours any more, or the server could not be told how it ended.
    Lost {
        /// Why.
        why: String,
    },
}

impl Ending {
    /// One word for logs and counters: `completed`, `failed`, `cancelled` or `lost`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost { .. } => "lost",
        }
    }
}

impl From<Condition> for Ending {
    /// The end of a lease that went away before the server was told anything.
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Cancelled => Self::Cancelled,
            Condition::Lost(why) => Self::Lost { why },
            Condition::Expired(why) => Self::Lost { why: format!("it expired: {why}") },
            Condition::Held => Self::Lost { why: "it was left".to_owned() },
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Completed { confirmed: true } | Self::Cancelled => Ok(()),
            Self::Completed { confirmed: false } => f.write_str(", most likely"),
            Self::Failed { reason, .. } => write!(f, ": {reason}"),
            Self::Lost { why } => write!(f, ": {why}"),
        }
    }
}

/// How a lease ended, and whether it ever got to its runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// Whether its runner was started. A lease that got nowhere is no reason to ask for the next one
    /// at once: it may be the same again.
    pub started: bool,
}

impl Ended {
    /// Whether the next lease may be asked for without a wait: work was done and its end was told.
    pub fn is_progress(&self) -> bool {
        self.started && !matches!(self.ending, Ending::Lost { .. })
    }
}
