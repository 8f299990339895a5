//! Jobs and tasks as a job server shows them (protocol 3.7), and as they are shown to people.

use posemesh_text::{escaped, one_line};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::output::out;

/// How much of a label or reason is shown, in bytes: strangers write them.
const MAX_SHOWN: usize = 2000;

/// A job, its tasks and what they left.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Job {
    pub(super) job: JobSummary,
    #[serde(default)]
    pub(super) tasks: Vec<JobTask>,
    #[serde(default)]
    pub(super) receipts: Vec<Receipt>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct JobSummary {
    pub(super) id: Uuid,
    #[serde(default)]
    pub(super) label: String,
    pub(super) status: String,
    pub(super) domain_id: Uuid,
    #[serde(default)]
    pub(super) created_at: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct JobTask {
    pub(super) id: Uuid,
    pub(super) capability: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) attempts: u32,
    #[serde(default)]
    pub(super) max_attempts: u32,
    /// As submitted, with what the task reports (protocol 3.4).
    #[serde(default)]
    pub(super) meta: Value,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Receipt {
    pub(super) task_id: Uuid,
    /// The ids of artifacts.
    #[serde(default)]
    pub(super) outputs: Vec<String>,
    /// What the node said of the end.
    #[serde(default)]
    pub(super) meta: Value,
}

/// A page of jobs.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct JobPage {
    #[serde(default)]
    pub(super) items: Vec<JobItem>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct JobItem {
    pub(super) job: JobSummary,
    #[serde(default)]
    pub(super) tasks_summary: Value,
}

impl JobSummary {
    /// Whether nothing of it changes any more.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "canceled" | "cancelled")
    }

    pub(super) fn has_completed(&self) -> bool {
        self.status == "completed"
    }

    /// On one line.
    pub(super) fn line(&self) -> String {
        format!(
            "{}  {:<9}  {}  {}",
            self.id,
            escaped(&one_line(&self.status, 40)),
            escaped(&one_line(&self.created_at, 40)),
            escaped(&one_line(&self.label, MAX_SHOWN))
        )
    }
}

impl Job {
    /// Prints it for people.
    pub(super) fn print(&self) {
        out!("{}", self.job.line());
        for task in &self.tasks {
            out!(
                "  task {}  {}  {}, attempt {} of {}",
                task.id,
                escaped(&one_line(&task.status, 40)),
                escaped(&one_line(&task.capability, MAX_SHOWN)),
                task.attempts,
                task.max_attempts
            );
            if let Some(progress) = task.meta.get("progress") {
                out!("    progress {}", escaped(&one_line(progress, MAX_SHOWN)));
            }
            let receipts = self.receipts.iter().filter(|receipt| receipt.task_id == task.id);
            for receipt in receipts {
                if let Some(reason) = receipt.reason() {
                    out!("    {}", escaped(&reason));
                }
                receipt
                    .outputs
                    .iter()
                    .for_each(|id| out!("    artifact {}", escaped(&one_line(id, MAX_SHOWN))));
            }
        }
    }

    /// Why it did not complete, as far as the server says it.
    pub(super) fn reasons(&self) -> Vec<String> {
        self.receipts.iter().filter_map(Receipt::reason).collect()
    }
}

impl Receipt {
    fn reason(&self) -> Option<String> {
        Some(one_line(self.meta.get("reason")?.as_str()?, MAX_SHOWN))
    }
}
