//! The node that is measured, as a process of its own: ours or the reference, with one runner that copies.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use posemesh_devnet::{Devnet, Endpoint, TaskState, TaskStatus};
use posemesh_tests::{NodeProcess, node_binary, reference_binary, variables};
use serde_json::json;
use uuid::Uuid;

use crate::memory::{field, kill_first};
use crate::storage::limits::copy_timeout;
use crate::storage::node_kind::NodeKind;
use crate::storage::site::{self, Site};

/// Size of a copy before the first measurement, which compiles, connects and allocates.
const WARM_UP: u64 = 1 << 20;
/// How long a node may take until it asks for work.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two readings of the memory of a working node.
const READ_INTERVAL: Duration = Duration::from_millis(20);

/// A running node that has executed its first task.
pub(crate) struct MeasuredNode<'a> {
    kind: NodeKind,
    devnet: &'a Devnet,
    process: NodeProcess,
}

/// The measurements of one copy.
pub(crate) struct Copied {
    /// From the lease to the completion.
    pub(crate) took: Duration,
    /// Resident memory in bytes, read at regular times meanwhile.
    pub(crate) resident: Vec<u64>,
}

impl<'a> MeasuredNode<'a> {
    /// Starts a node and has it copy a small artifact.
    pub(crate) async fn start(site: &Site, devnet: &'a Devnet, kind: NodeKind) -> Result<Self> {
        let mut variables = variables(devnet, &site.path("plugins"), &site.path("node"));
        let before = devnet.requests().len() as u64;
        let process = match kind {
            NodeKind::Ours => NodeProcess::start(&node_binary(), &["run"], &variables),
            NodeKind::InProcess => {
                variables.insert("SANDBOX".to_owned(), "off".to_owned());
                NodeProcess::start(&node_binary(), &["run"], &variables)
            }
            NodeKind::Reference => {
                let temporary = site.path("temporary").display().to_string();
                variables.insert("TMPDIR".to_owned(), temporary);
                variables.insert("REFERENCE_RUNNER".to_owned(), "file".to_owned());
                let process = NodeProcess::start(&reference_binary(), &[], &variables);
                kill_first(&process.id().to_string())?;
                process
            }
        };
        let node = Self { kind, devnet, process };
        let asked = devnet.wait_for_request(START_TIMEOUT, |request| {
            request.endpoint == Some(Endpoint::Lease) && request.bearer_valid && request.seq >= before
        });
        node.explain(asked.await.context("starting it"))?;
        let input = site::input(devnet, WARM_UP).await?;
        node.copy(input, WARM_UP).await?;
        site::take_artifact(devnet, input).await?;
        Ok(node)
    }

    /// The process id, as in `/proc`.
    pub(crate) fn pid(&self) -> String {
        self.process.id().to_string()
    }

    /// Has it copy an input; the artifact stays on the server.
    pub(crate) async fn copy(&self, input: Uuid, bytes: u64) -> Result<Copied> {
        let task = json!({
            "label": "copy", "stage": "copy", "capability": self.kind.capability(), "max_attempts": 1,
            "inputs_cids": [self.devnet.data_url(input)], "outputs_prefix": "out",
        });
        let job = self.devnet.submit_job(json!({"label": "bench", "tasks": [task]}));
        let task = job.context("submitting a job")?.tasks.into_iter().next().context("a task")?;
        let mut resident = Vec::new();
        let ended = tokio::select! {
            ended = self.devnet.wait_for_task_end(task, copy_timeout(bytes)) => ended.context("copying"),
            gone = self.watch(&mut resident) => Err(gone),
        };
        let now = Instant::now();
        let ended = self.explain(ended.and_then(completed))?;
        let leased = ended.leases.first().context("a completed task that was never leased")?.at;
        Ok(Copied { took: now.duration_since(leased), resident })
    }

    /// Records its resident memory until the process has ended.
    async fn watch(&self, resident: &mut Vec<u64>) -> anyhow::Error {
        let pid = self.pid();
        loop {
            match field(&pid, "VmRSS:") {
                Ok(now) => resident.push(now),
                Err(error) => return error.context("it ended while it copied; out of memory?"),
            }
            tokio::time::sleep(READ_INTERVAL).await;
        }
    }

    /// Adds the end of what the node printed to an error.
    fn explain<T>(&self, result: Result<T>) -> Result<T> {
        const LINES: usize = 20;
        result.with_context(|| {
            let log = self.process.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
            format!("{} printed last:\n{}\n{}", self.kind, last.join("\n"), self.kind)
        })
    }

    /// Stops it. The reference does not handle SIGTERM.
    pub(crate) async fn end(mut self) {
        match self.kind {
            NodeKind::Ours | NodeKind::InProcess => drop(self.process.terminate().await),
            NodeKind::Reference => self.process.kill().await,
        }
    }
}

fn completed(task: TaskState) -> Result<TaskState> {
    if task.status != TaskStatus::Completed {
        bail!("its task {} is {}: {:?}", task.id, task.status.as_str(), task.failures);
    }
    Ok(task)
}
