//! Faults that are planted on purpose, to show that each invariant catches one.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use posemesh_runner_api::json_text::JsonText;
use uuid::Uuid;

use crate::dms::{FinalReport, HeartbeatAnswer, JobServer, JobServerError, LeaseAnswer};
use crate::journal::LeaseJournal;

/// A fault in the node, planted on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Sends `fail` after its `complete` was accepted.
    FailsAfterComplete,
    /// Sends a final report twice, although the first was accepted.
    ReportsTwice,
    /// Sends a heartbeat after the end of the lease was accepted.
    HeartbeatAfterEnd,
    /// Takes a lease for extended without asking the server.
    ForgetsHeartbeats,
    /// Takes its result for delivered without sending it.
    ForgetsReport,
    /// Does not hear that a task was cancelled.
    IgnoresCancel,
    /// Takes one lease more than it may.
    AsksWhileFull,
    /// Goes on as if nobody had asked it to stop, and takes leases.
    IgnoresStop,
    /// Has a grace time that is a minute longer than it was told.
    StopsTooLate,
    /// Leaves a task of the runtime behind when it returns.
    LeaksTask,
    /// Writes down no lease.
    WritesNoJournal,
    /// Throws the events away.
    LosesEvents,
    /// Tries again at once, a thousand times, when a call fails.
    TriesAgainAtOnce,
    /// Does something that does not depend on the seed.
    IsNotDeterministic,
    /// Keeps all events, however many wait.
    KeepsAllEvents,
    /// Says that a lease was completed whose runner has failed.
    MistakesFailure,
    /// Asks for no more work after the first request that brought none.
    GivesUpPolling,
    /// Panics when a heartbeat is cut off.
    Panics,
}

impl Planted {
    /// Every planted fault.
    pub const ALL: [Self; 18] = [
        Self::FailsAfterComplete,
        Self::ReportsTwice,
        Self::HeartbeatAfterEnd,
        Self::ForgetsHeartbeats,
        Self::ForgetsReport,
        Self::IgnoresCancel,
        Self::AsksWhileFull,
        Self::IgnoresStop,
        Self::StopsTooLate,
        Self::LeaksTask,
        Self::KeepsAllEvents,
        Self::WritesNoJournal,
        Self::LosesEvents,
        Self::TriesAgainAtOnce,
        Self::IsNotDeterministic,
        Self::MistakesFailure,
        Self::GivesUpPolling,
        Self::Panics,
    ];
}

/// A journal that nobody writes.
pub(super) struct NoJournal;

impl LeaseJournal for NoJournal {
    fn begin(&self, _: Uuid) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn end(&self, _: Uuid) {}
}

/// A job server as a node with the planted fault uses it.
pub(super) struct PlantedServer {
    pub(super) server: Arc<dyn JobServer>,
    pub(super) planted: Planted,
    pub(super) gave_up: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl JobServer for PlantedServer {
    async fn request_lease(&self) -> Result<LeaseAnswer, JobServerError> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.gave_up.load(Relaxed) {
            return Ok(LeaseAnswer::NoWork);
        }
        let answer = self.server.request_lease().await;
        if self.planted == Planted::GivesUpPolling && !matches!(answer, Ok(LeaseAnswer::Lease(_))) {
            self.gave_up.store(true, Relaxed);
        }
        answer
    }

    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &JsonText,
        events: &[JsonText],
    ) -> Result<HeartbeatAnswer, JobServerError> {
        // The first one still makes the task run.
        if self.planted == Planted::ForgetsHeartbeats && *progress != JsonText::empty_object() {
            return Ok(HeartbeatAnswer::default());
        }
        if self.planted == Planted::IsNotDeterministic {
            let nobody_knows = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) % 100;
            tokio::time::sleep(std::time::Duration::from_millis(nobody_knows)).await;
        }
        let events = if self.planted == Planted::LosesEvents { &[] } else { events };
        let mut answer = self.server.heartbeat(task_id, progress, events).await;
        for _ in 0..1000 {
            if self.planted == Planted::TriesAgainAtOnce && answer.is_err() {
                answer = self.server.heartbeat(task_id, progress, events).await;
            }
        }
        match (self.planted, answer) {
            (Planted::IgnoresCancel, Ok(answer)) => Ok(HeartbeatAnswer { cancel: false, ..answer }),
            (Planted::Panics, Err(error)) => panic!("planted: {error}"),
            (_, answer) => answer,
        }
    }

    async fn finish(&self, task_id: Uuid, report: &FinalReport) -> Result<(), JobServerError> {
        if self.planted == Planted::ForgetsReport {
            return Ok(());
        }
        if let (Planted::MistakesFailure, FinalReport::Fail { details, .. }) = (self.planted, report) {
            let body = serde_json::json!({ "output_cids": [], "meta": details });
            return self.server.finish(task_id, &FinalReport::Complete(body)).await;
        }
        let answer = self.server.finish(task_id, report).await;
        if answer.is_ok() {
            // Whatever comes of it: the fault is that it is sent.
            let _ = match (self.planted, report) {
                (Planted::FailsAfterComplete, FinalReport::Complete(body)) => {
                    let (reason, details) = ("planted".to_owned(), body["meta"].clone());
                    self.server.finish(task_id, &FinalReport::Fail { reason, details }).await
                }
                (Planted::ReportsTwice, report) => self.server.finish(task_id, report).await,
                (Planted::HeartbeatAfterEnd, _) => {
                    self.server.heartbeat(task_id, &JsonText::default(), &[]).await.map(drop)
                }
                _ => Ok(()),
            };
        }
        answer
    }
}
