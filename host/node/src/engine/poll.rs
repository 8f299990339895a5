//! Asking for work, and refusing what can't be read.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::dms::outcome::SetupStage;
use crate::engine::records::TaskRecords;
use crate::heartbeat::Condition;
use crate::heartbeat::clock::DEFAULT_TTL;
use crate::lease::conclude::tell_in_time;
use crate::lease::finish::Last;
use crate::lease::server::{LeaseAnswer, LeaseServer, ServerError, ServerErrorKind};
use crate::lease::{Ended, Ending, LeaseContext, outcome};

/// A request for work under way.
pub type Polling = Pin<Box<dyn Future<Output = Polled> + Send>>;

/// Its answer.
pub struct Polled {
    /// When it was sent: a lease counts from then.
    pub sent: Instant,
    /// What the server said.
    pub answer: Result<LeaseAnswer, ServerError>,
}

/// Asks for work.
pub fn start(server: &Arc<dyn LeaseServer>) -> Polling {
    let server = server.clone();
    Box::pin(async move {
        let sent = Instant::now();
        Polled { sent, answer: server.lease().await }
    })
}

/// Waits for the answer of a request if one is under way, and forever if not. The request is not lost
/// when the wait is.
pub async fn answer(polling: &mut Option<Polling>) -> Polled {
    let polled = match polling {
        Some(request) => request.await,
        None => std::future::pending().await,
    };
    *polling = None;
    polled
}

/// How long the server wants us to stay away.
pub fn retry_after(error: &ServerError) -> Option<Duration> {
    match error.kind {
        ServerErrorKind::Retryable { retry_after, .. } => retry_after,
        _ => None,
    }
}

/// Gives back a lease of which no more than the id could be read.
pub async fn refuse(context: LeaseContext, records: TaskRecords, task_id: Uuid, error: String) -> Ended {
    let error = format!("the lease can't be read: {error}");
    let details = outcome::setup_details(SetupStage::StartSession.as_str(), &error);
    let last = Last::Fail { reason: outcome::NODE_SETUP_FAILED.to_owned(), details };
    let deadline = Instant::now() + DEFAULT_TTL;
    let expiry = async {
        sleep_until(deadline).await;
        Condition::Expired("it could not be given back in time".to_owned())
    };
    let ending = tell_in_time(&context, task_id, &last, expiry).await.unwrap_or_else(Ending::from);
    tracing::warn!(%task_id, "unreadable lease {ending}");
    records.count_unreadable(&ending);
    Ended { ending, started: false }
}
