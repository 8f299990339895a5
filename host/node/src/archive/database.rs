//! The database: opened, written to in whole batches, and kept within its bounds.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use posemesh_files::open_regular;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, Transaction, params};
use time::OffsetDateTime;
use uuid::Uuid;

use super::entry::{Entry, GenerationEntry, TaskEntry, millis};
use super::lock::Alive;
use super::runs::{self, Process};
use super::schema::{PUT_GENERATION, PUT_TASK, SchemaError, check, is_damage, is_new, make_tables};
use super::settings::ArchiveSettings;

/// Several nodes may write to one database, each a batch at a time.
pub(super) const BUSY: Duration = Duration::from_secs(5);
const PAGE_BYTES: i64 = 4096;
/// Up to here the header of a database goes that says how many pages it has, in its last four bytes.
const PAGE_COUNT_ENDS: usize = 32;
/// How often, and how far apart, a file that seems to be cut is looked at again.
const LOOKS: usize = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The log of changes is cut to this after each checkpoint.
const JOURNAL_BYTES: i64 = 4 << 20;
/// How many pages are given back to the file system at a time: whoever waits for the database waits for no more.
const GIVEN_BACK: i64 = 1024;
/// For how long that goes on when the database is opened; the rest goes while it is written to.
const GIVING_BACK: Duration = Duration::from_millis(500);
/// Of the entries, the share that goes when the database is full: 1 in this many.
const SHARE: i64 = 10;
/// How often the oldest entries go until the database is small enough, after somebody has made its bound smaller.
const MAX_ROUNDS: usize = 200;

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error("{0}")]
    Folder(#[from] io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Schema(#[from] SchemaError),
}

impl DatabaseError {
    /// Whether nothing can be told of what is there: it is no database of ours, or a broken one.
    pub(super) fn is_unreadable(&self) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Sqlite(error) => is_damage(error),
            Self::Schema(error) => error.is_unreadable(),
        }
    }

    fn is_full(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        error.sqlite_error_code() == Some(ErrorCode::DiskFull)
    }
}

/// An open database.
pub(super) struct Database {
    connection: Connection,
    /// Its file, to look at. Opened before the connection and closed after it: whoever closes a descriptor of a file gives up
    /// all locks of the process on it, those of SQLite included.
    file: fs::File,
    /// How long its file was at the last look, in bytes.
    bytes: u64,
    settings: ArchiveSettings,
    /// Device and inode of its file.
    identity: (u64, u64),
    path: PathBuf,
    /// Whose entries they are, and the number of this process.
    node: String,
    run: i64,
    /// Shows others that this process lives.
    alive: Alive,
    /// The other processes that live, in words.
    pub(super) shared_with: Vec<String>,
}

impl Database {
    /// Opens it for a process; makes the file if it is not there, for this user alone. What dead
    /// processes left open becomes unknown. The caller holds the lock for opening.
    ///
    /// # Errors
    /// When it can't be opened or made, is damaged, another program's, or a newer version's.
    pub(super) fn open(
        path: &Path,
        settings: &ArchiveSettings,
        process: &Process,
    ) -> Result<Self, DatabaseError> {
        make_private(path)?;
        let file = open_regular(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        // What is in a file that somebody else made is not obeyed.
        connection.pragma_update(None, "trusted_schema", false)?;
        // A log of changes (WAL), though its index is a mapped file, and whoever cuts that ends this process: without it each
        // batch waits for the disk twice, and a SIGKILL takes what has come meanwhile.
        if is_new(&connection)? {
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            // It gives back what is deleted.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            make_tables(&mut connection)?;
        } else {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            check(&connection)?;
        }
        // A power cut may take the last batches, and never the whole.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)?;
        connection.pragma_update(None, "cache_size", -512)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        // Before it is in the table: others look there for processes, and here for whether they live.
        let alive = Alive::of(folder, &process.token)?;
        let run = runs::begin(&mut connection, process)?;
        let shared_with = runs::look(&mut connection, folder, run)?;
        let (settings, path, node) = (settings.clone(), path.to_owned(), process.node.clone());
        let identity = identity(&path)?;
        let bytes = file.metadata()?.len();
        let mut opened =
            Self { connection, file, bytes, settings, identity, path, node, run, alive, shared_with };
        opened.shrink()?;
        Ok(opened)
    }

    /// Whether its file is still the one at its path, and others can see that this process lives.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|there| there == self.identity) && self.alive.is_seen()
    }

    /// To how many bytes somebody has cut its file since the last look, so that it is shorter than its own header says. May
    /// sleep for a moment.
    pub(super) fn cut_to(&mut self) -> Option<u64> {
        let before = self.bytes;
        self.bytes = self.file.metadata().ok()?.len();
        // A checkpoint writes the header first: a file that did not grow is no file that was cut.
        if self.bytes >= before {
            return None;
        }
        let mut bytes = shortened(&self.file)?;
        // Another process may be at it.
        for _ in 0..LOOKS {
            thread::sleep(LOOK_AGAIN);
            bytes = shortened(&self.file)?;
        }
        Some(bytes)
    }

    /// Writes all of the entries or none. Makes room for them if the database is as large as it may be.
    ///
    /// # Errors
    /// What SQLite says.
    pub(super) fn write<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
    ) -> Result<(), DatabaseError> {
        for _ in 0..SHARE {
            match self.try_write(entries.clone()) {
                // Of the bound or of the disk: only of the first there is a way out.
                Err(error) if error.is_full() && self.is_at_its_bound() => drop(self.drop_oldest()?),
                written => return written,
            }
        }
        self.try_write(entries)
    }

    fn try_write<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> Result<(), DatabaseError> {
        let (run, node) = (self.run, self.node.clone());
        let transaction = self.connection.transaction()?;
        {
            // Once for the whole batch.
            let mut of_task = transaction.prepare(PUT_TASK)?;
            let mut of_generation = transaction.prepare(PUT_GENERATION)?;
            for entry in entries {
                match entry {
                    Entry::Task(task) => put_task(&mut of_task, run, &node, task)?,
                    Entry::Generation(generation) => {
                        put_generation(&mut of_generation, run, &node, generation)?;
                    }
                    Entry::Orphan(task) => put_orphan(&transaction, run, &node, *task)?,
                    Entry::NodeEnded => runs::end(&transaction, run, &node)?,
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// Removes what is older than it may be.
    ///
    /// # Errors
    /// What SQLite says.
    pub(super) fn drop_old(&mut self) -> Result<(), DatabaseError> {
        let oldest = millis(OffsetDateTime::now_utc() - self.settings.max_age);
        let tasks = self
            .connection
            .execute("DELETE FROM tasks WHERE at_ms < ?1 AND outcome <> 'running'", [oldest])?;
        let generations = self.connection.execute("DELETE FROM generations WHERE at_ms < ?1", [oldest])?;
        self.drop_runs()?;
        if tasks + generations > 0 {
            self.give_back()?;
        }
        Ok(())
    }

    /// Keeps the database within a bound that is smaller than it was, or from now on.
    fn shrink(&mut self) -> Result<(), DatabaseError> {
        let most = i64::try_from(self.settings.max_bytes).unwrap_or(i64::MAX) / PAGE_BYTES;
        for _ in 0..MAX_ROUNDS {
            let used = self.pragma("page_count")? - self.pragma("freelist_count")?;
            if used <= most || !self.drop_oldest()? {
                break;
            }
        }
        self.give_back()?;
        self.connection.pragma_update(None, "max_page_count", most)?;
        Ok(())
    }

    fn pragma(&self, name: &str) -> rusqlite::Result<i64> {
        self.connection.pragma_query_value(None, name, |row| row.get(0))
    }

    fn is_at_its_bound(&self) -> bool {
        let (count, most) = (self.pragma("page_count"), self.pragma("max_page_count"));
        // A batch may need more than the last page.
        matches!((count, most), (Ok(count), Ok(most)) if count.saturating_add(most / SHARE) >= most)
    }

    /// Whether anything was there to be dropped.
    fn drop_oldest(&mut self) -> Result<bool, DatabaseError> {
        let mut dropped = 0;
        for table in ["tasks", "generations"] {
            let count = format!("SELECT count(*) FROM {table}");
            let count: i64 = self.connection.query_row(&count, [], |row| row.get(0))?;
            let drop = format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY at_ms, id LIMIT ?1)"
            );
            let going = count / SHARE + i64::from(count > 0);
            dropped += self.connection.execute(&drop, [going])?;
        }
        self.drop_runs()?;
        Ok(dropped > 0)
    }

    /// Forgets processes of which nothing is told any more.
    fn drop_runs(&self) -> rusqlite::Result<()> {
        self.connection.execute(
            "DELETE FROM runs WHERE ended_ms IS NOT NULL AND id NOT IN (SELECT run FROM tasks)
                AND id NOT IN (SELECT run FROM generations)",
            [],
        )?;
        Ok(())
    }

    /// Gives the pages of what was deleted back to the file system, as far as there is time for it.
    fn give_back(&self) -> Result<(), DatabaseError> {
        let end = Instant::now() + GIVING_BACK;
        while self.give_back_some()? && Instant::now() < end {}
        Ok(())
    }

    /// Gives some pages back, in a transaction of its own. Whether there are more.
    ///
    /// # Errors
    /// What SQLite says.
    pub(super) fn give_back_some(&self) -> Result<bool, DatabaseError> {
        let mut freed = self.connection.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
        let mut rows = freed.query([])?;
        while rows.next()?.is_some() {}
        Ok(self.pragma("freelist_count")? >= GIVEN_BACK)
    }
}

/// The size of a file that is shorter than the header of its database says.
fn shortened(file: &fs::File) -> Option<u64> {
    let mut header = [0; PAGE_COUNT_ENDS];
    let needed = match file.read_exact_at(&mut header, 0) {
        Ok(()) => {
            header.last_chunk().map_or(0, |pages| u64::from(u32::from_be_bytes(*pages)))
                * PAGE_BYTES.unsigned_abs()
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => u64::MAX,
        Err(_) => return None,
    };
    let bytes = file.metadata().ok()?.len();
    (bytes < needed).then_some(bytes)
}

fn put_task(put: &mut Statement<'_>, run: i64, node: &str, task: &TaskEntry) -> rusqlite::Result<()> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let leased = millis(task.leased_at);
    let end = task.end.as_ref();
    let ended = end.map(|end| leased.saturating_add(signed(end.took_ms)));
    let text = |id: Option<Uuid>| id.map(|id| id.to_string());
    put.execute(params![
        ended.unwrap_or(leased),
        run,
        signed(task.lease),
        node,
        leased,
        ended,
        task.task.to_string(),
        text(task.job),
        text(task.domain),
        task.capability,
        task.runner,
        task.sha256,
        end.map_or("running", |end| end.outcome),
        end.and_then(|end| end.kind),
        end.and_then(|end| end.blame),
        end.and_then(|end| end.reason.as_deref()),
        end.map(|end| signed(end.took_ms)),
        end.map(|end| signed(end.bytes_in)),
        end.map(|end| signed(end.bytes_out)),
        end.and_then(|end| end.memory_bytes).map(signed),
        end.and_then(|end| end.cpu_ms).map(signed),
    ])?;
    Ok(())
}

fn put_generation(
    put: &mut Statement<'_>,
    run: i64,
    node: &str,
    generation: &GenerationEntry,
) -> rusqlite::Result<()> {
    let GenerationEntry { at, runner, number, version, sha256, event, why } = generation;
    let number = number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    put.execute(params![millis(*at), run, node, runner, number, version, sha256, event, why])?;
    Ok(())
}

/// A lease that the process before could not even note, since it died at once.
fn put_orphan(transaction: &Transaction<'_>, run: i64, node: &str, task: Uuid) -> rusqlite::Result<()> {
    let now = millis(OffsetDateTime::now_utc());
    transaction.execute(
        "INSERT INTO tasks (at_ms, run, node, leased_ms, task, capability, outcome, reason)
         SELECT ?1, ?2, ?3, ?1, ?4, '', 'unknown', ?5 WHERE NOT EXISTS
            (SELECT 1 FROM tasks WHERE task = ?4 AND node = ?3 AND (outcome = 'unknown'
                OR run = (SELECT max(id) FROM runs WHERE node = ?3 AND id <> ?2)))",
        params![now, run, node, task.to_string(), runs::unknown()],
    )?;
    Ok(())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Makes `DATA_DIR` for this user alone if it is not there; its path without links, which SQLite refuses to follow.
///
/// # Errors
/// When it can't be made, or belongs to another user.
pub(super) fn make_folder(folder: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (owner, us) = (fs::metadata(folder)?.uid(), rustix::process::geteuid().as_raw());
    if owner != us && owner != 0 {
        return Err(refused(format!("the folder belongs to user {owner}, and this process is user {us}")));
    }
    folder.canonicalize()
}

/// Makes the file of a database for this user alone, or closes one that is there to others.
fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let (found, us) = (path.symlink_metadata()?, rustix::process::geteuid().as_raw());
            if !found.is_file() {
                let kind = posemesh_files::kind_name(found.file_type());
                return Err(refused(format!("it is {kind}, not a regular file")));
            }
            if found.uid() != us {
                return Err(refused(format!(
                    "it belongs to user {}, and this process is user {us}",
                    found.uid()
                )));
            }
            if found.mode() & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn refused(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}
