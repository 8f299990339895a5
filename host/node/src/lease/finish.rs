//! Telling the server how a lease ended: `complete` and `fail`, tried again for as long as the lease
//! lives.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};
use tracing::warn;
use uuid::Uuid;

use crate::heartbeat::Condition;
use crate::lease::server::{LeaseServer, ServerError, ServerErrorKind};
use posemesh_net::retry::{Backoff, Jitter};

/// Waits between attempts.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// An attempt that is not answered within this is tried again. The client's own timeout holds for a
/// request; a call may also wait for a machine token.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(120);

/// What the server is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Last {
    /// `complete`, with its body.
    Complete(Value),
    /// `fail`.
    Fail {
        /// Its reason.
        reason: String,
        /// Its details.
        details: Value,
    },
}

/// Whether the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It said so.
    Confirmed,
    /// An attempt may have arrived, and after it the server said that the lease is gone.
    Likely,
    /// It does not want this, now or later.
    Refused(String),
    /// The lease was gone before the server could be told.
    Gone(Condition),
}

/// Tries until the server knows, until it says that the lease is gone, or until `over` ends, which tells
/// how the lease went. An attempt that is under way then is waited for: its answer is worth more.
pub async fn tell(
    server: &dyn LeaseServer,
    task_id: Uuid,
    last: &Last,
    over: impl Future<Output = Condition>,
) -> Told {
    let mut over = std::pin::pin!(over);
    let mut backoff = Backoff::new(2 * RETRY_WAITS.0, RETRY_WAITS.1, Jitter::UPPER_HALF);
    let mut may_have_arrived = false;
    loop {
        let error = match attempt(server, task_id, last).await {
            Ok(()) => return Told::Confirmed,
            Err(error) => error,
        };
        let wanted = match error.kind {
            ServerErrorKind::Lost if may_have_arrived => return Told::Likely,
            ServerErrorKind::Lost => return Told::Gone(Condition::Lost(error.text)),
            ServerErrorKind::Fatal => return Told::Refused(error.text),
            ServerErrorKind::Unauthorized => Duration::ZERO,
            ServerErrorKind::Retryable { retry_after, outcome_unknown } => {
                may_have_arrived |= outcome_unknown;
                retry_after.unwrap_or_default().min(RETRY_WAITS.1)
            }
        };
        let wait = backoff.next_delay().max(wanted);
        warn!(%error, retry_in = ?wait, "the end of the lease could not be told");
        tokio::select! {
            biased;
            condition = &mut over => {
                let likely = may_have_arrived && matches!(condition, Condition::Lost(_));
                return if likely { Told::Likely } else { Told::Gone(condition) };
            }
            () = sleep(wait) => {}
        }
    }
}

async fn attempt(server: &dyn LeaseServer, task_id: Uuid, last: &Last) -> Result<(), ServerError> {
    let answer = timeout(LONGEST_ATTEMPT, async {
        match last {
            Last::Complete(body) => server.complete(task_id, body).await,
            Last::Fail { reason, details } => server.fail(task_id, reason, details).await,
        }
    });
    answer.await.unwrap_or_else(|_| {
        let kind = ServerErrorKind::Retryable { retry_after: None, outcome_unknown: true };
        let verb = if matches!(last, Last::Complete(_)) { "complete" } else { "fail" };
        Err(ServerError {
            kind,
            text: format!("{verb} task {task_id}: no answer within {LONGEST_ATTEMPT:?}"),
        })
    })
}
