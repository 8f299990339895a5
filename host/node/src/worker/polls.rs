//! The requests for work that are under way.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use crate::admission::{Admit, Promise, Refusal};
use crate::dms::{JobServer, JobServerError, LeaseAnswer};
use crate::shutdown::Shutdown;

/// Requests for work. One that was sent is never dropped while the node runs: it might leave a lease behind that nobody
/// works on (protocol 3.2).
#[derive(Default)]
pub(super) struct Polls(FuturesUnordered<BoxFuture<'static, PollResult>>);

/// What became of a request for work.
pub(super) enum PollResult {
    /// It was not sent: what a task may need is not there.
    Refused(Refusal),
    /// It was answered.
    Answered(PollAnswer),
}

/// The answer to a request for work.
pub(super) struct PollAnswer {
    /// When the request was sent: a lease counts from then.
    pub(super) sent: Instant,
    pub(super) answer: Result<LeaseAnswer, JobServerError>,
    /// What is set aside for the task.
    pub(super) promise: Promise,
}

impl Polls {
    /// How many requests are under way.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends a request if the node has what a task may need, and still takes leases when that is known.
    pub(super) fn start(
        &mut self,
        server: Arc<dyn JobServer>,
        admission: Arc<dyn Admit>,
        shutdown: Shutdown,
    ) {
        let request = async move {
            let promise = match admission.admit().await {
                Ok(promise) => promise,
                Err(refusal) => return PollResult::Refused(refusal),
            };
            // The machine takes its time to answer: the node may have been asked to stop meanwhile.
            if shutdown.stopping().is_cancelled() || shutdown.draining().is_some() {
                return PollResult::Refused(Refusal::Busy("the node takes no more leases".to_owned()));
            }
            let sent = Instant::now();
            PollResult::Answered(PollAnswer { sent, answer: server.request_lease().await, promise })
        };
        self.0.push(request.boxed());
    }

    /// Waits for the next answer; forever if no request is under way. Dropping the wait drops no request.
    pub(super) async fn answer(&mut self) -> PollResult {
        match self.0.next().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// Drops the requests that are under way.
    pub(super) fn abort(&mut self) {
        self.0.clear();
    }
}
