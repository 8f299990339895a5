//! The tables, and whether what lies at a path is a database of ours that this version can write to.

use rusqlite::{Connection, ErrorCode};

/// The form of the tables.
pub(super) const VERSION: i64 = 1;
/// What SQLite's header says of whose database it is: "pmnh".
pub(super) const APPLICATION: i64 = 0x706d_6e68;
/// A larger database is not looked through at the start.
const MAX_CHECKED: i64 = 256 << 20;

const TABLES: &str = "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE, node TEXT NOT NULL, version TEXT NOT NULL,
        pid INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER, how TEXT);
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, run INTEGER NOT NULL, lease INTEGER, node TEXT NOT NULL,
        leased_ms INTEGER NOT NULL, ended_ms INTEGER, task TEXT NOT NULL, job TEXT, domain TEXT, capability TEXT NOT NULL,
        runner TEXT, sha256 TEXT, outcome TEXT NOT NULL, kind TEXT, blame TEXT, reason TEXT, took_ms INTEGER,
        bytes_in INTEGER, bytes_out INTEGER, memory_bytes INTEGER, cpu_ms INTEGER, UNIQUE (run, lease));
    CREATE INDEX tasks_at ON tasks (at_ms);
    CREATE INDEX tasks_task ON tasks (task);
    CREATE TABLE generations (
        id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, run INTEGER NOT NULL, node TEXT NOT NULL, runner TEXT,
        number INTEGER, version TEXT, sha256 TEXT, event TEXT NOT NULL, why TEXT);
    CREATE INDEX generations_at ON generations (at_ms);";

/// Puts a lease, or what has become of it since.
pub(super) const PUT_TASK: &str = "
    INSERT INTO tasks (at_ms, run, lease, node, leased_ms, ended_ms, task, job, domain, capability, runner, sha256, outcome,
        kind, blame, reason, took_ms, bytes_in, bytes_out, memory_bytes, cpu_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
    ON CONFLICT (run, lease) DO UPDATE SET at_ms = excluded.at_ms, ended_ms = excluded.ended_ms, runner = excluded.runner,
        sha256 = excluded.sha256, outcome = excluded.outcome, kind = excluded.kind, blame = excluded.blame,
        reason = excluded.reason, took_ms = excluded.took_ms, bytes_in = excluded.bytes_in,
        bytes_out = excluded.bytes_out, memory_bytes = excluded.memory_bytes, cpu_ms = excluded.cpu_ms";
pub(super) const PUT_GENERATION: &str = "
    INSERT INTO generations (at_ms, run, node, runner, number, version, sha256, event, why)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// What is wrong with a database.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("it is a database of another program")]
    Foreign,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error(
        "a newer version of the node has written it (its form is {0}, this version knows {VERSION}); run that version, or \
         name another DATA_DIR"
    )]
    Newer(i64),
}

impl SchemaError {
    /// Whether nothing can be told of what is there: it is no database of ours, or a broken one.
    pub(super) fn is_unreadable(&self) -> bool {
        match self {
            Self::Foreign | Self::Damaged(_) => true,
            Self::Newer(_) => false,
            Self::Sqlite(error) => is_damage(error),
        }
    }
}

/// Whether an error says that the file is broken, or no database at all.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whose database it is: of ours, or a new one.
///
/// # Errors
/// [`SchemaError`]
pub(super) fn is_new(connection: &Connection) -> Result<bool, SchemaError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let things: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, things) {
        (0, 0, 0) => Ok(true),
        (APPLICATION, VERSION, _) => Ok(false),
        (APPLICATION, newer, _) if newer > VERSION => Err(SchemaError::Newer(newer)),
        (APPLICATION, older, _) => Err(SchemaError::Damaged(format!("no form of it is called {older}"))),
        _ => Err(SchemaError::Foreign),
    }
}

/// Makes the tables.
///
/// # Errors
/// What SQLite says.
pub(super) fn make_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute_batch(TABLES)?;
    transaction.commit()
}

/// Looks through what is there.
///
/// # Errors
/// When it is damaged.
pub(super) fn check(connection: &Connection) -> Result<(), SchemaError> {
    // Tables of another form, whatever the header says.
    for statement in [PUT_TASK, PUT_GENERATION, "SELECT token, how, ended_ms, pid, node FROM runs"] {
        connection.prepare(statement).map_err(|error| SchemaError::Damaged(error.to_string()))?;
    }
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if number("page_count")?.saturating_mul(number("page_size")?) > MAX_CHECKED {
        return Ok(());
    }
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(SchemaError::Damaged(said)) }
}
