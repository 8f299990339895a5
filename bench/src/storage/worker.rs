//! A node as a process of its own: ours or the reference, with one runner that copies.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use posemesh_devnet::{Devnet, Endpoint, TaskState, TaskStatus};
use posemesh_tests::{NodeProcess, node_binary, reference_binary, variables};
use serde_json::json;
use uuid::Uuid;

use super::patience;
use super::site::{self, Site};
use crate::memory;

/// What a node copies before anything is measured: it has compiled, connected and allocated by then.
const WARM_UP: u64 = 1 << 20;
/// How long a node may take until it asks for work.
const START: Duration = Duration::from_secs(60);
/// How often a working node is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Who works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The node of this project.
    Ours,
    /// The published one.
    Reference,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "posemesh-node",
            Self::Reference => "posemesh-compute-node 0.3.3",
        })
    }
}

impl Side {
    fn capability(self) -> &'static str {
        match self {
            Self::Ours => "/posemesh/test/copy/v1",
            Self::Reference => "/posemesh/reference/v1",
        }
    }
}

/// A node that has registered, asked for work and done its first task.
pub struct Worker<'a> {
    side: Side,
    devnet: &'a Devnet,
    process: NodeProcess,
}

/// A copy that was made.
pub struct Copied {
    /// From the lease to the completion.
    pub took: Duration,
    /// Resident memory in the meantime, in bytes, at regular times.
    pub resident: Vec<u64>,
}

impl<'a> Worker<'a> {
    /// Starts one and lets it copy a little.
    pub async fn start(site: &Site, devnet: &'a Devnet, side: Side) -> Result<Self> {
        let mut variables = variables(devnet, &site.path("plugins"), &site.path("node"));
        let before = devnet.requests().len() as u64;
        let process = match side {
            Side::Ours => NodeProcess::start(&node_binary(), &["run"], &variables),
            Side::Reference => {
                let temporary = site.path("temporary").display().to_string();
                variables.insert("TMPDIR".to_owned(), temporary);
                variables.insert("REFERENCE_RUNNER".to_owned(), "file".to_owned());
                let process = NodeProcess::start(&reference_binary(), &[], &variables);
                memory::kill_first(&process.id().to_string())?;
                process
            }
        };
        let worker = Self { side, devnet, process };
        let asked = devnet.wait_for_request(START, |request| {
            request.endpoint == Some(Endpoint::Lease) && request.bearer_valid && request.seq >= before
        });
        worker.explain(asked.await.context("starting it"))?;
        let input = site::input(devnet, WARM_UP).await?;
        worker.copy(input, WARM_UP).await?;
        site::take_artifact(devnet, input).await?;
        Ok(worker)
    }

    /// Its process, as `/proc` names it.
    pub fn pid(&self) -> String {
        self.process.id().to_string()
    }

    /// Lets it copy an input; the artifact stays.
    pub async fn copy(&self, input: Uuid, bytes: u64) -> Result<Copied> {
        let task = json!({
            "label": "copy", "stage": "copy", "capability": self.side.capability(), "max_attempts": 1,
            "inputs_cids": [self.devnet.data_url(input)], "outputs_prefix": "out",
        });
        let job = self.devnet.submit_job(json!({"label": "bench", "tasks": [task]}));
        let task = job.context("submitting a job")?.tasks.into_iter().next().context("a task")?;
        let mut resident = Vec::new();
        let ended = tokio::select! {
            ended = self.devnet.wait_for_task_end(task, patience(bytes)) => ended.context("copying"),
            gone = self.watch(&mut resident) => Err(gone),
        };
        let now = Instant::now();
        let ended = self.explain(ended.and_then(completed))?;
        let leased = ended.leases.first().context("a completed task that was never leased")?.at;
        Ok(Copied { took: now.duration_since(leased), resident })
    }

    /// Notes its resident memory until it is gone.
    async fn watch(&self, resident: &mut Vec<u64>) -> anyhow::Error {
        let pid = self.pid();
        loop {
            match memory::field(&pid, "VmRSS:") {
                Ok(now) => resident.push(now),
                Err(error) => return error.context("it ended while it copied; out of memory?"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Adds to an error who it is about, and the end of what it printed.
    fn explain<T>(&self, result: Result<T>) -> Result<T> {
        const LINES: usize = 20;
        result.with_context(|| {
            let log = self.process.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
            format!("{} printed last:\n{}\n{}", self.side, last.join("\n"), self.side)
        })
    }

    /// Ends it. The reference knows no SIGTERM.
    pub async fn end(mut self) {
        match self.side {
            Side::Ours => drop(self.process.terminate().await),
            Side::Reference => self.process.kill().await,
        }
    }
}

fn completed(task: TaskState) -> Result<TaskState> {
    if task.status != TaskStatus::Completed {
        bail!("its task {} is {}: {:?}", task.id, task.status.as_str(), task.failures);
    }
    Ok(task)
}
