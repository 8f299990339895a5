//! How a lease ends. Every lease has exactly one [`LeaseOutcome`] (protocol 5).

use std::fmt;

use posemesh_text::shorten;

use crate::heartbeat::LeaseState;

/// How a lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseOutcome {
    /// The server has the result.
    Completed {
        /// Whether the server said so. If not, an answer was cut off and the server then knew of no such
        /// lease any more, as it does after a completion (protocol 3.5).
        confirmed: bool,
    },
    /// The server knows that the task failed.
    Failed {
        /// The reason that was reported.
        reason: String,
        /// As in `Completed`.
        confirmed: bool,
    },
    /// The server wanted the task stopped (protocol 5.1).
    Cancelled,
    /// The lease was lost (protocol 5.2), or its final report could not be delivered.
    Lost {
        /// How it was lost, for people.
        reason: String,
    },
}

impl LeaseOutcome {
    /// The same with a reason of at most `max` bytes.
    pub(super) fn shortened(self, max: usize) -> Self {
        let short = |reason: String| shorten(&reason, max).into_owned();
        match self {
            Self::Failed { reason, confirmed } => Self::Failed { reason: short(reason), confirmed },
            Self::Lost { reason } => Self::Lost { reason: short(reason) },
            Self::Completed { .. } | Self::Cancelled => self,
        }
    }

    /// One word for logs and counters: `completed`, `failed`, `cancelled` or `lost`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost { .. } => "lost",
        }
    }
}

impl From<LeaseState> for LeaseOutcome {
    /// The outcome of a lease that was over before its final report was delivered.
    fn from(state: LeaseState) -> Self {
        match state {
            LeaseState::Cancelled => Self::Cancelled,
            LeaseState::Lost(reason) => Self::Lost { reason },
            LeaseState::Expired(reason) => Self::Lost { reason: format!("it expired: {reason}") },
            // No caller has this: each converts the state of a lease that is over. It is no reason to panic either.
            LeaseState::Active => Self::Lost { reason: "it was left".to_owned() },
        }
    }
}

impl fmt::Display for LeaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Completed { confirmed: true } | Self::Cancelled => Ok(()),
            Self::Completed { confirmed: false } => f.write_str(", most likely"),
            Self::Failed { reason, .. } | Self::Lost { reason } => write!(f, ": {reason}"),
        }
    }
}
