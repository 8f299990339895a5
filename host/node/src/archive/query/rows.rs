//! One row of the answer each.

use rusqlite::Row;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskRow {
    /// When it ended, RFC 3339; none while it is worked on, and if nobody knows.
    pub ended_at: Option<String>,
    /// When it was leased.
    pub leased_at: String,
    /// The node: the address of its wallet, or `robot`.
    pub node: String,
    /// The task's id.
    pub task: String,
    /// The job's id.
    pub job: Option<String>,
    /// The id of its domain.
    pub domain: Option<String>,
    /// What it asked for; empty if its lease could not be read.
    pub capability: String,
    /// Name, version and generation of the runner.
    pub runner: Option<String>,
    /// SHA-256 of the runner's file, in hex.
    pub sha256: Option<String>,
    /// `running`, `completed`, `failed`, `cancelled`, `lost`, or `unknown`: its node was killed.
    pub outcome: String,
    /// The kind of a failure.
    pub kind: Option<String>,
    /// Whose fault a failure was.
    pub blame: Option<String>,
    /// Why it failed or was lost.
    pub reason: Option<String>,
    /// From lease to end.
    pub took_ms: Option<i64>,
    /// Bytes from the domain server.
    pub bytes_in: Option<i64>,
    /// Bytes to the domain server.
    pub bytes_out: Option<i64>,
    /// The most memory that its runner used.
    pub memory_bytes: Option<i64>,
    /// Time on the processor.
    pub cpu_ms: Option<i64>,
}

/// What has become of a generation, of a runner, or of the node that had them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationRow {
    /// When, RFC 3339.
    pub at: String,
    /// The node: the address of its wallet, or `robot`.
    pub node: String,
    /// The runner's name; none if it is about all of them.
    pub runner: Option<String>,
    /// The number of the load in its process.
    pub number: Option<i64>,
    /// The runner's own version.
    pub version: Option<String>,
    /// SHA-256 of its file, in hex.
    pub sha256: Option<String>,
    /// A stage, `refused`, `rolled_back`, `withdrawn`, `breaker_open`, `breaker_half_open`, `breaker_closed`,
    /// `node_started`, `node_ended`, `node_killed`, `history_begun` or `history_cut`.
    pub event: String,
    /// Why, in words.
    pub why: Option<String>,
}

pub(super) fn task(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow {
        ended_at: row.get::<_, Option<i64>>(0)?.map(shown),
        leased_at: shown(row.get(1)?),
        node: row.get(2)?,
        task: row.get(3)?,
        job: row.get(4)?,
        domain: row.get(5)?,
        capability: row.get(6)?,
        runner: row.get(7)?,
        sha256: row.get(8)?,
        outcome: row.get(9)?,
        kind: row.get(10)?,
        blame: row.get(11)?,
        reason: row.get(12)?,
        took_ms: row.get(13)?,
        bytes_in: row.get(14)?,
        bytes_out: row.get(15)?,
        memory_bytes: row.get(16)?,
        cpu_ms: row.get(17)?,
    })
}

pub(super) fn generation(row: &Row<'_>) -> rusqlite::Result<GenerationRow> {
    Ok(GenerationRow {
        at: shown(row.get(0)?),
        node: row.get(1)?,
        runner: row.get(2)?,
        number: row.get(3)?,
        version: row.get(4)?,
        sha256: row.get(5)?,
        event: row.get(6)?,
        why: row.get(7)?,
    })
}

fn shown(millis: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    at.ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
