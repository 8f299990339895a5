//! The leanest runner that these crates allow, for measuring what they themselves hold in memory.

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use posemesh_compute_node_runner_api::{Runner, TaskCtx};

/// The first input's bytes.
const COPY: &str = "copy.bin";

/// Serves one capability: the first input goes from the file in which the crates put it straight back as
/// an artifact. No byte of it is in this runner's hands.
pub struct FileRunner {
    capability: &'static str,
}

impl FileRunner {
    /// A runner for `capability`.
    pub fn new(capability: &'static str) -> Self {
        Self { capability }
    }
}

#[async_trait]
impl Runner for FileRunner {
    fn capability(&self) -> &'static str {
        self.capability
    }

    async fn run(&self, ctx: TaskCtx<'_>) -> Result<()> {
        let Some(cid) = ctx.lease.task.inputs_cids.first() else { bail!("the task has no input to copy") };
        let path = ctx
            .input
            .materialize_cid_to_temp(cid)
            .await
            .with_context(|| format!("materialise input {cid}"))?;
        ctx.output.put_file(COPY, &path).await.with_context(|| format!("upload {COPY}"))
    }
}

/// Fetches every input, and does nothing with it.
pub struct ReadRunner {
    capability: &'static str,
}

impl ReadRunner {
    /// A runner for `capability`.
    pub fn new(capability: &'static str) -> Self {
        Self { capability }
    }
}

#[async_trait]
impl Runner for ReadRunner {
    fn capability(&self) -> &'static str {
        self.capability
    }

    async fn run(&self, ctx: TaskCtx<'_>) -> Result<()> {
        for cid in &ctx.lease.task.inputs_cids {
            let fetched = ctx.input.get_bytes_by_cid(cid).await;
            fetched.with_context(|| format!("fetch input {cid}"))?;
        }
        Ok(())
    }
}

/// Does nothing, for measuring what a task costs beside its work.
pub struct NoRunner {
    capability: &'static str,
}

impl NoRunner {
    /// A runner for `capability`.
    pub fn new(capability: &'static str) -> Self {
        Self { capability }
    }
}

#[async_trait]
impl Runner for NoRunner {
    fn capability(&self) -> &'static str {
        self.capability
    }

    async fn run(&self, _: TaskCtx<'_>) -> Result<()> {
        Ok(())
    }
}
