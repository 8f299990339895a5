//! What is asked of the database by commands, while a node writes to it or not.

mod rows;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_text::one_line;
use rusqlite::{Connection, OpenFlags, params};
use time::OffsetDateTime;

use super::entry::millis;
use super::runs;
use super::schema::{SchemaError, is_new};

pub use rows::{GenerationRow, TaskRow};

const BUSY: Duration = Duration::from_secs(5);
/// How much of a path is shown, in bytes.
const SHOWN_BYTES: usize = 400;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
#[error("reading the history in {}: {what}", one_line(path.display(), SHOWN_BYTES))]
pub struct ArchiveError {
    path: PathBuf,
    what: String,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Only those from this moment on.
    pub since: Option<OffsetDateTime>,
    /// Only tasks that have ended and did not complete.
    pub failed: bool,
    /// Only those of this runner, by its name.
    pub runner: Option<String>,
    /// Only those of this node: its whole name, or the beginning of its address.
    pub node: Option<String>,
    /// At most so many, the newest.
    pub limit: u32,
}

/// A history that can be asked. Blocks while it is.
#[derive(Debug)]
pub struct Archived {
    connection: Connection,
    path: PathBuf,
}

impl Archived {
    /// Opens what a node has written. No entry of it is changed.
    ///
    /// # Errors
    /// When there is none, it can't be read, or another program or a newer version of the node has written it.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let fail = |what: String| ArchiveError { path: path.to_owned(), what: one_line(what, SHOWN_BYTES) };
        // Says what lies there; SQLite says only that it can't be opened.
        posemesh_files::open_regular(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                fail("there is none; has a node with this DATA_DIR ever been started?".to_owned())
            }
            _ => fail(error.to_string()),
        })?;
        // SQLite follows no link, of folders neither.
        let whole = path.canonicalize().map_err(|error| fail(error.to_string()))?;
        let opened = connect(&whole).map_err(|error| fail(error.to_string()))?;
        match is_new(&opened) {
            Ok(false) => Ok(Self { connection: opened, path: path.to_owned() }),
            Ok(true) => Err(fail("nothing was ever written to it".to_owned())),
            Err(SchemaError::Newer(form)) => Err(fail(format!(
                "a newer version of the node has written it (its form is {form}): use the command of that version"
            ))),
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// Tasks, newest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn tasks(&self, asked: &Asked) -> Result<Vec<TaskRow>, ArchiveError> {
        self.said((|| {
            // What a process holds that has died, and after which no other has opened the history, is not told yet.
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let living: Vec<String> =
                runs::living(&self.connection, folder)?.iter().map(i64::to_string).collect();
            let living = living.join(", ");
            let mut query = self.connection.prepare(&format!(
                "SELECT ended_ms, leased_ms, node, task, job, domain, capability, runner, sha256,
                    CASE WHEN outcome = 'running' AND run NOT IN ({living}) THEN 'unknown' ELSE outcome END AS how,
                    kind, blame, reason, took_ms, bytes_in, bytes_out, memory_bytes, cpu_ms
                 FROM tasks
                 WHERE at_ms >= ?1 AND (NOT ?2 OR how NOT IN ('completed', 'running'))
                    AND (?3 IS NULL OR runner = ?3 OR substr(runner, 1, length(?3) + 1) = ?3 || ' ')
                    AND (?4 IS NULL OR lower(substr(node, 1, length(?4))) = lower(?4))
                 ORDER BY at_ms DESC, id DESC LIMIT ?5",
            ))?;
            let asked = params![since(asked), asked.failed, asked.runner, asked.node, asked.limit];
            query.query_map(asked, rows::task)?.collect()
        })())
    }

    /// What has become of generations, newest first; the starts and ends of nodes are among it.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn generations(&self, asked: &Asked) -> Result<Vec<GenerationRow>, ArchiveError> {
        self.said((|| {
            let mut query = self.connection.prepare(
                "SELECT at_ms, node, runner, number, version, sha256, event, why FROM generations
                 WHERE at_ms >= ?1 AND (?2 IS NULL OR runner IS NULL OR runner = ?2)
                    AND (?3 IS NULL OR lower(substr(node, 1, length(?3))) = lower(?3))
                 ORDER BY at_ms DESC, id DESC LIMIT ?4",
            )?;
            let asked = params![since(asked), asked.runner, asked.node, asked.limit];
            query.query_map(asked, rows::generation)?.collect()
        })())
    }

    fn said<T>(&self, result: rusqlite::Result<T>) -> Result<T, ArchiveError> {
        result.map_err(|error| ArchiveError { path: self.path.clone(), what: one_line(error, SHOWN_BYTES) })
    }
}

/// Opens a database to be read. A reader takes part in the log of changes, which it has to be able to write to; in a folder
/// where this user may write to nothing, the file is read as it is.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let read = open(OpenFlags::SQLITE_OPEN_READ_WRITE, path)
        .or_else(|_: rusqlite::Error| open(OpenFlags::SQLITE_OPEN_READ_ONLY, path));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match read {
        // Without a log of changes all that was written is in the file.
        Err(error) if !Path::new(&log).exists() => as_it_is(path).map_err(|_| error),
        read => read,
    }
}

fn open(flags: OpenFlags, name: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(name, OpenFlags::SQLITE_OPEN_NOFOLLOW | flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    // Opened for certain only when something is read.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// Opens a file as one that nobody changes meanwhile.
fn as_it_is(path: &Path) -> rusqlite::Result<Connection> {
    let name = immutable(path).unwrap_or_default();
    open(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI, Path::new(&name))
}

/// The address of a file that nobody changes.
fn immutable(path: &Path) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let escaped: String = path.to_str()?.bytes().fold(String::new(), |mut name, byte| {
        match plain(byte) {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("%{byte:02X}")),
        }
        name
    });
    Some(format!("file:{escaped}?immutable=1"))
}

fn since(asked: &Asked) -> i64 {
    asked.since.map_or(i64::MIN, millis)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_a_folder_that_nobody_may_write_to_is_read_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("odd ?name#%41");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("x.sqlite");
        let made = Connection::open(&path).unwrap();
        made.pragma_update(None, "journal_mode", "WAL").unwrap();
        made.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (5)").unwrap();
        drop(made);
        let read = as_it_is(&path).unwrap();
        assert_eq!(read.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)), Ok(5));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is made beside it");
    }
}
