//! How a pass through an answer ends short of its end.

use posemesh_domain_data::multipart::MultipartError;

use crate::api::error::DomainError;

/// Why a pass did not reach the end of the answer.
#[derive(Debug)]
pub(super) enum PassError {
    /// The connection broke or stalled; another pass may go on.
    Broken(DomainError),
    /// The answer was whole by the rules of HTTP, and yet not all that it announces; another pass may go on.
    Short(DomainError),
    /// The answer is broken, or the server refuses: another pass would not help.
    Failed(DomainError),
    /// The runner's side has closed the input.
    Abandoned,
}

impl PassError {
    /// The answer contradicts itself, the query or an earlier answer.
    pub(super) fn inconsistent(why: impl Into<String>) -> Self {
        Self::Failed(DomainError::Inconsistent(why.into()))
    }
}

impl From<DomainError> for PassError {
    fn from(error: DomainError) -> Self {
        Self::Failed(error)
    }
}

impl From<MultipartError> for PassError {
    fn from(error: MultipartError) -> Self {
        match error {
            // A body that just ends early may be longer the next time; any other fault of the format would come again.
            MultipartError::Truncated(_) => Self::Short(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}
