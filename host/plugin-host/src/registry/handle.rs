//! A generation that a task holds: counted while it runs, judged when the run has ended, and noticed when it is
//! released.

use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::ports::OutputPort;
use posemesh_runner_api::runner::{Runner, RunnerCall, RunnerNeeds};
use tokio::sync::Notify;

use crate::registry::breaker::Trial;
use crate::registry::generation::Generation;
use crate::registry::slot::Picked;
use crate::registry::table::RunnerTable;

/// One task's hold on a generation.
pub(crate) struct GenerationHandle {
    generation: Option<Arc<Generation>>,
    /// The name of the runner in the table.
    name: String,
    /// The task decides whether the runner's breaker closes.
    trial: Option<Trial>,
    table: Arc<RunnerTable>,
    /// Notified when a run has ended and when the handle is dropped: a canary may be judged, a generation gone.
    changed: Arc<Notify>,
}

impl GenerationHandle {
    pub(crate) fn new(
        table: Arc<RunnerTable>,
        name: String,
        Picked { generation, trial }: Picked,
        changed: Arc<Notify>,
    ) -> Self {
        Self { generation: Some(generation), name, trial, table, changed }
    }
}

#[async_trait]
impl Runner for GenerationHandle {
    fn label(&self) -> String {
        self.generation.as_ref().map(|generation| generation.label()).unwrap_or_default()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn digest(&self) -> Option<String> {
        self.generation.as_ref().and_then(|generation| generation.digest())
    }

    fn needs(&self) -> RunnerNeeds {
        self.generation.as_ref().map(|generation| generation.needs()).unwrap_or_default()
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        // It is there until the handle is dropped.
        let Some(generation) = &self.generation else { return Ok(()) };
        // A guard, so that a run whose future is dropped halfway stops counting as running.
        let running = generation.counters.start();
        let (outputs, task) = (Arc::clone(&call.outputs), call.task.id);
        let result = generation.run(call).await.map_err(|failure| blame_wait(failure, outputs.as_ref()));
        running.ended(&result);
        if let Err(failure) = &result {
            self.table.run_failed(generation, task, failure);
        }
        // At once and not by way of the registry's watch, which may be busy with a scan: the next request for work
        // must not go out for a runner that has failed once too often.
        self.table.run_ended(&self.name, generation.number, self.trial, &result);
        self.changed.notify_one();
        result
    }
}

impl Drop for GenerationHandle {
    fn drop(&mut self) {
        // Released first: whoever is notified must find it gone.
        if let Some(generation) = self.generation.take()
            && let Some(trial) = self.trial
        {
            // The task may never have been run, or its run was dropped. After a result this changes nothing: the
            // trial is over.
            self.table.trial_dropped(&self.name, generation.number, trial);
        }
        self.changed.notify_one();
    }
}

/// A run that reached its deadline while it waited for its domain server is not the runner's fault: neither its trial
/// nor its breaker may count it.
fn blame_wait(failure: RunFailure, outputs: &dyn OutputPort) -> RunFailure {
    match outputs.unanswered() {
        Some(error) if failure.kind == FailureKind::Deadline => failure.blamed_on(error.blame),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use posemesh_runner_api::failure::Blame;
    use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, PortError, PortErrorKind};

    use super::*;

    struct Waiting(Option<PortError>);

    #[async_trait]
    impl OutputPort for Waiting {
        async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
            Err(PortError::other("not in this test"))
        }

        fn finished(&self) -> Vec<Artifact> {
            Vec::new()
        }

        fn unanswered(&self) -> Option<PortError> {
            self.0.clone()
        }
    }

    #[test]
    fn a_deadline_that_is_reached_while_the_server_is_away_is_the_servers_fault() {
        let away = || Waiting(Some(PortError::new(PortErrorKind::Unavailable, "503")));
        let blame = |kind, port: Waiting| blame_wait(RunFailure::new(kind, "x"), &port).blame;
        assert_eq!(blame(FailureKind::Deadline, away()), Blame::Server);
        assert_eq!(blame(FailureKind::Deadline, Waiting(None)), Blame::Runner);
        assert_eq!(blame(FailureKind::Trap, away()), Blame::Runner);
    }
}
