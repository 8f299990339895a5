//! Ends a wait when its task is to stop.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::api::error::DomainError;

/// Does some work, unless or until the task is to stop; the work is dropped then.
///
/// # Errors
/// [`DomainError::Cancelled`] when the task is to stop, otherwise as the work fails.
pub(crate) async fn until_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, DomainError>>,
) -> Result<T, DomainError> {
    tokio::select! {
        // A stop wins over work that is ready at the same moment: nothing more is to be begun for the task.
        biased;
        () = stop.cancelled() => Err(DomainError::Cancelled),
        result = work => result,
    }
}
