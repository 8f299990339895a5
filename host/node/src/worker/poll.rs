//! A request for work under way.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::admission::{Admit, Promise, Refusal};
use crate::dms::{JobServer, JobServerError, LeaseAnswer};
use crate::shutdown::Shutdown;

/// At most one request for work. A request that was sent is never dropped while the node runs: it might
/// leave a lease behind that nobody works on (protocol 3.2).
#[derive(Default)]
pub(super) struct Poll(Option<BoxFuture<'static, PollResult>>);

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

impl Poll {
    pub(super) fn is_under_way(&self) -> bool {
        self.0.is_some()
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
        self.0 = Some(request.boxed());
    }

    /// Waits for the answer of the request that is under way; forever if there is none. Dropping the wait
    /// does not drop the request.
    pub(super) async fn answer(&mut self) -> PollResult {
        let result = match &mut self.0 {
            Some(request) => request.await,
            None => std::future::pending().await,
        };
        // Only now: a wait that is dropped before the answer must leave the request where it is.
        self.0 = None;
        result
    }

    /// Drops the request that is under way.
    pub(super) fn abort(&mut self) {
        self.0 = None;
    }
}
