//! How the work can fail.

use std::io;

/// Why there is no result. The texts are for people: what was wrong with what, where, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A parameter does not fit the scan.
    #[error("{0}")]
    InvalidTask(String),
    /// The scan is broken; the text names the line or the byte.
    #[error("{0}")]
    InvalidInput(String),
    /// [`crate::progress::Control::cancelled`] said so.
    #[error("the task was cancelled")]
    Cancelled,
    /// The scan could not be read or an artifact not be written. The node's own error is inside.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The scan is broken at a line (counted from 1).
    pub(crate) fn at_line(line: u64, what: impl std::fmt::Display) -> Self {
        Self::InvalidInput(format!("line {line}: {what}"))
    }

    /// The scan is broken at a byte (counted from 0, in the unpacked file).
    pub(crate) fn at_byte(offset: u64, what: impl std::fmt::Display) -> Self {
        Self::InvalidInput(format!("byte {offset}: {what}"))
    }

    /// There is no memory for so many points.
    pub(crate) fn out_of_memory(points: u64) -> Self {
        Self::Failed(format!(
            "not enough memory for {points} points; the operator can grant this runner more, or send a smaller scan"
        ))
    }
}
