//! A generation in a task's hands: counted while it runs, and missed when it is let go.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::generation::Generation;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::{Runner, RunnerCall};

/// One task's hold on a generation.
pub struct Serving {
    generation: Option<Arc<Generation>>,
    /// Told when a run has ended and when the hold ends: a canary may be judged, a generation gone.
    changed: Arc<Notify>,
}

impl Serving {
    /// Takes hold.
    pub fn new(generation: Arc<Generation>, changed: Arc<Notify>) -> Self {
        Self { generation: Some(generation), changed }
    }
}

#[async_trait]
impl Runner for Serving {
    fn label(&self) -> String {
        self.generation.as_ref().map(|generation| generation.label()).unwrap_or_default()
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        let Some(generation) = &self.generation else { return Ok(()) };
        let running = generation.tally.start();
        let result = generation.run(call).await;
        running.ended(&result);
        self.changed.notify_one();
        result
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Let go first: whoever is told must find it gone.
        self.generation = None;
        self.changed.notify_one();
    }
}
