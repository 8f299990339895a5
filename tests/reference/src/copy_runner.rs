//! The runner: reads every input, hands the first one back as an artifact, and says what it saw.

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use posemesh_compute_node_runner_api::{Runner, TaskCtx};
use serde_json::json;

/// The first input's bytes, uploaded from a file on disk. Empty if the task has no inputs.
const COPY: &str = "copy.bin";

/// What was read, uploaded from memory: `{"task_id", "total_bytes", "inputs": [{"cid", "name",
/// "data_type", "data_id", "parts", "bytes"}]}`.
const REPORT: &str = "report.json";

/// Serves one capability. Progress goes from 0 to 1 with a step for each input, then one event follows.
pub struct CopyRunner {
    capability: &'static str,
}

impl CopyRunner {
    /// A runner for `capability`.
    pub fn new(capability: &'static str) -> Self {
        Self { capability }
    }
}

#[async_trait]
impl Runner for CopyRunner {
    fn capability(&self) -> &'static str {
        self.capability
    }

    async fn run(&self, ctx: TaskCtx<'_>) -> Result<()> {
        let cids = &ctx.lease.task.inputs_cids;
        ctx.ctrl.progress(json!({"progress": 0.0})).await?;

        let mut first = None;
        let mut inputs = Vec::new();
        let mut total_bytes = 0;
        for (index, cid) in cids.iter().enumerate() {
            stop_if_cancelled(&ctx).await?;
            let input = ctx
                .input
                .materialize_cid_with_meta(cid)
                .await
                .with_context(|| format!("materialise input {cid}"))?;
            let bytes = tokio::fs::metadata(&input.path)
                .await
                .with_context(|| format!("read the size of {}", input.path.display()))?
                .len();
            total_bytes += bytes;
            inputs.push(json!({
                "cid": cid,
                "name": input.name,
                "data_type": input.data_type,
                "data_id": input.data_id,
                "parts": input.related_files.len() + 1,
                "bytes": bytes,
            }));
            first.get_or_insert(cid);
            let done = (index + 1) as f64 / cids.len() as f64;
            ctx.ctrl.progress(json!({"progress": done})).await?;
        }

        stop_if_cancelled(&ctx).await?;
        let copied = match first {
            Some(cid) => {
                ctx.input.get_bytes_by_cid(cid).await.with_context(|| format!("read input {cid} as bytes"))?
            }
            None => Vec::new(),
        };
        let scratch = tempfile::tempdir().context("make a temporary directory for the copy")?;
        let file = scratch.path().join(COPY);
        tokio::fs::write(&file, &copied).await.with_context(|| format!("write {}", file.display()))?;
        ctx.output.put_file(COPY, &file).await.with_context(|| format!("upload {COPY}"))?;

        stop_if_cancelled(&ctx).await?;
        let report = json!({
            "task_id": ctx.lease.task.id,
            "total_bytes": total_bytes,
            "inputs": inputs,
        });
        let report = serde_json::to_vec_pretty(&report).context("write the report as JSON")?;
        ctx.output.put_bytes(REPORT, &report).await.with_context(|| format!("upload {REPORT}"))?;

        ctx.ctrl.progress(json!({"progress": 1.0})).await?;
        ctx.ctrl
            .log_event(json!({"event": "copied", "inputs": inputs.len(), "total_bytes": total_bytes}))
            .await
    }
}

/// The crates only raise a flag: ending in time is the runner's part.
async fn stop_if_cancelled(ctx: &TaskCtx<'_>) -> Result<()> {
    if ctx.ctrl.is_cancelled().await {
        bail!("task {} was cancelled", ctx.lease.task.id);
    }
    Ok(())
}
