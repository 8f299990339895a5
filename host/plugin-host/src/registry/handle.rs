//! A generation that a task holds: counted while it runs, and noticed when it is released.

use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::{Runner, RunnerCall, RunnerNeeds};
use tokio::sync::Notify;

use crate::registry::generation::Generation;

/// One task's hold on a generation.
pub(crate) struct GenerationHandle {
    generation: Option<Arc<Generation>>,
    /// Notified when a run has ended and when the handle is dropped: a canary may be judged, a generation gone.
    changed: Arc<Notify>,
}

impl GenerationHandle {
    pub(crate) fn new(generation: Arc<Generation>, changed: Arc<Notify>) -> Self {
        Self { generation: Some(generation), changed }
    }
}

#[async_trait]
impl Runner for GenerationHandle {
    fn label(&self) -> String {
        self.generation.as_ref().map(|generation| generation.label()).unwrap_or_default()
    }

    fn needs(&self) -> RunnerNeeds {
        self.generation.as_ref().map(|generation| generation.needs()).unwrap_or_default()
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        // It is there until the handle is dropped.
        let Some(generation) = &self.generation else { return Ok(()) };
        // A guard, so that a run whose future is dropped halfway stops counting as running.
        let running = generation.counters.start();
        let result = generation.run(call).await;
        running.ended(&result);
        self.changed.notify_one();
        result
    }
}

impl Drop for GenerationHandle {
    fn drop(&mut self) {
        // Released first: whoever is notified must find it gone.
        self.generation = None;
        self.changed.notify_one();
    }
}
