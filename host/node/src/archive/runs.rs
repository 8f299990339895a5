//! The processes that have written to a history: which of them live, and what the dead ones left open.

use std::path::Path;

use posemesh_text::one_line;
use rusqlite::{Connection, params};
use time::OffsetDateTime;

use super::entry::millis;
use super::lock::{has_noted_end, is_alive, sweep};
use super::schema::PUT_GENERATION;

/// How many processes are looked at.
const MAX_RUNS: i64 = 1000;
/// How much of a name from the database is shown, in bytes.
const SHOWN_BYTES: usize = 100;
/// What is said of a lease whose process died.
const UNKNOWN: &str = "the node was killed, or its machine went down, while it held the lease; how the lease ended is not known";

/// What is said of a lease whose process could not write how it ended.
const UNWRITTEN: &str =
    "the node ended while its history could not be written to; how the lease ended is not known here";

/// A process that writes.
#[derive(Debug, Clone)]
pub(super) struct Process {
    /// Whose entries they are: the address of a wallet, or `robot`.
    pub(super) node: String,
    /// By which it is known in the database, and which nobody else has.
    pub(super) token: String,
    pub(super) started: OffsetDateTime,
}

/// A process that has not said that it ended.
struct OpenRun {
    id: i64,
    token: String,
    node: String,
    pid: i64,
}

/// Notes that this process writes. Returns its number.
///
/// # Errors
/// What SQLite says.
pub(super) fn begin(connection: &mut Connection, process: &Process) -> rusqlite::Result<i64> {
    let Process { node, token, started } = process;
    let transaction = connection.transaction()?;
    let version = env!("CARGO_PKG_VERSION");
    let made = transaction.execute(
        "INSERT INTO runs (token, node, version, pid, started_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (token) DO NOTHING",
        params![token, node, version, std::process::id(), millis(*started)],
    )?;
    let run: i64 =
        transaction.query_row("SELECT id FROM runs WHERE token = ?1", [token], |row| row.get(0))?;
    // Not when the same process opens it again.
    if made > 0 {
        note(&transaction, run, node, *started, "node_started", &format!("version {version}"))?;
    }
    transaction.commit()?;
    Ok(run)
}

/// Notes that a process has ended, and how.
///
/// # Errors
/// What SQLite says.
pub(super) fn end(connection: &Connection, run: i64, node: &str) -> rusqlite::Result<()> {
    close(connection, run, "ended")?;
    note(connection, run, node, OffsetDateTime::now_utc(), "node_ended", "")
}

/// What dead processes left open becomes unknown. Returns the living ones, in words.
///
/// # Errors
/// What SQLite says.
pub(super) fn look(connection: &mut Connection, folder: &Path, own: i64) -> rusqlite::Result<Vec<String>> {
    let mut living = Vec::new();
    for run in open_runs(connection, own)? {
        if is_alive(folder, &run.token) {
            living.push(format!("{} (process {})", one_line(&run.node, SHOWN_BYTES), run.pid));
            continue;
        }
        let by_itself = has_noted_end(folder, &run.token);
        let (how, event, reason) = match by_itself {
            true => ("ended", "node_ended", UNWRITTEN),
            false => ("killed", "node_killed", UNKNOWN),
        };
        let transaction = connection.transaction()?;
        let open = transaction.execute(
            "UPDATE tasks SET outcome = 'unknown', reason = ?2 WHERE run = ?1 AND outcome = 'running'",
            params![run.id, reason],
        )?;
        close(&transaction, run.id, how)?;
        let why = match by_itself {
            true => format!(
                "its process {} could not write its end: the history was locked or could not be written to; of {open} leases the \
                 end is missing",
                run.pid
            ),
            false => format!("its process {} did not end by itself; it held {open} leases", run.pid),
        };
        note(&transaction, run.id, &run.node, OffsetDateTime::now_utc(), event, &why)?;
        transaction.commit()?;
    }
    sweep(folder);
    Ok(living)
}

/// The numbers of the processes that live.
///
/// # Errors
/// What SQLite says.
pub(super) fn living(connection: &Connection, folder: &Path) -> rusqlite::Result<Vec<i64>> {
    let open = open_runs(connection, -1)?;
    Ok(open.into_iter().filter(|run| is_alive(folder, &run.token)).map(|run| run.id).collect())
}

fn open_runs(connection: &Connection, own: i64) -> rusqlite::Result<Vec<OpenRun>> {
    let mut query = connection.prepare(
        "SELECT id, token, node, pid FROM runs WHERE ended_ms IS NULL AND id <> ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let runs = query.query_map([own, MAX_RUNS], |row| {
        Ok(OpenRun { id: row.get(0)?, token: row.get(1)?, node: row.get(2)?, pid: row.get(3)? })
    })?;
    runs.collect()
}

fn close(connection: &Connection, run: i64, how: &str) -> rusqlite::Result<()> {
    let now = millis(OffsetDateTime::now_utc());
    connection.execute("UPDATE runs SET ended_ms = ?2, how = ?3 WHERE id = ?1", params![run, now, how])?;
    Ok(())
}

fn note(
    connection: &Connection,
    run: i64,
    node: &str,
    at: OffsetDateTime,
    event: &str,
    why: &str,
) -> rusqlite::Result<()> {
    let (at, none) = (millis(at), None::<String>);
    let why = Some(why).filter(|why| !why.is_empty());
    connection.execute(PUT_GENERATION, params![at, run, node, none, none, none, none, event, why])?;
    Ok(())
}

/// What is said of a lease that a dead process held.
pub(super) fn unknown() -> &'static str {
    UNKNOWN
}
