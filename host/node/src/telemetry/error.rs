//! Why there is no log as asked for.

use std::io;

use crate::threads::cure;

/// Why there is no log as asked for.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("`{filter}` is no log filter: {reason}; write it as `info` or `info,posemesh=debug`")]
    Filter {
        /// The filter that was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Standard error can't be used.
    #[error("opening standard error for the log: {0}")]
    Stderr(io::Error),
    /// The file can't be used.
    #[error(
        "opening LOG_FILE {path}: {error}; it takes the path of a file in a folder that is there and that the node may \
         write to, or `off`"
    )]
    File {
        /// The file, fit for a terminal.
        path: String,
        /// Why it can't be opened.
        error: io::Error,
    },
    /// The thread that writes the log can't be started.
    #[error("starting the thread that writes the log: {error}; {}", cure())]
    Thread {
        /// Why the system started none.
        error: io::Error,
    },
    /// Traces can't be sent as asked for.
    #[error("setting up traces: {0}")]
    Traces(String),
    /// The process has a subscriber already; it stays.
    #[error("this process has a log subscriber already, which stays in use")]
    Installed,
    /// There is no log whose filter could be changed.
    #[error("this process has no log of the node's, so there is no filter to change")]
    NoLog,
}
