//! The log: JSON or text lines on standard error (protocol 8.1).
//!
//! Nobody who logs ever waits for the log or fails by it: lines go through a bounded queue ([`queue`]).

mod format;
mod queue;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd as _;

use tracing_subscriber::EnvFilter;

use crate::threads::cure;
use posemesh_text::one_line;

pub use format::LogFormat;
pub use queue::{LogGuard, dropped_lines};

/// How many bytes of a wrong filter are quoted.
const QUOTED_BYTES: usize = 200;
/// How many bytes of a panic's message are logged.
const MAX_PANIC_BYTES: usize = 1000;

/// How the log looks, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How log lines look.
    pub format: LogFormat,
    /// Which lines are logged: a level, and levels for targets that begin with a name, as in
    /// `info,posemesh=debug`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

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
    /// The thread that writes the log can't be started.
    #[error("starting the thread that writes the log: {error}; {}", cure())]
    Thread {
        /// Why the system started none.
        error: io::Error,
    },
    /// The process has a subscriber already; it stays.
    #[error("this process has a log subscriber already, which stays in use")]
    Installed,
}

/// Starts the log of the process; for `filter` see [`LogSettings::filter`]. Panics are logged as well, instead of
/// being printed by whoever panics.
///
/// # Errors
/// When the filter is wrong, or when a subscriber is installed already. A program that embeds the node
/// can ignore the latter.
pub fn init(format: LogFormat, filter: &str) -> Result<LogGuard, TelemetryError> {
    let filter = parse_filter(filter)?;
    let stderr = io::stderr();
    // Colour codes are for terminals only: in JSON or in a file they would be in the way of programs.
    let colour = format == LogFormat::Text && stderr.is_terminal();
    // A descriptor of its own: the lock of `io::stderr` would be held for as long as a write is held up.
    let out = File::from(stderr.as_fd().try_clone_to_owned().map_err(TelemetryError::Stderr)?);
    let (queue, guard) = queue::start(out, format).map_err(|error| TelemetryError::Thread { error })?;
    let losses = queue.losses.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue)
        .log_internal_errors(false)
        .with_ansi(colour);
    match format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => subscriber.try_init(),
    }
    .map_err(|_| TelemetryError::Installed)?;
    losses.publish();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "a thread of the node panicked: {}", one_line(message, MAX_PANIC_BYTES));
    }));
    Ok(guard)
}

/// Whether [`init`] would accept the filter.
///
/// # Errors
/// When it would not; the text says why.
pub(crate) fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    parse_filter(filter).map(drop)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter {
        filter: one_line(filter, QUOTED_BYTES),
        reason: error.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_is_an_error_and_no_panic() {
        let _ = init(LogFormat::Text, "off");
        assert!(matches!(init(LogFormat::Json, "off"), Err(TelemetryError::Installed)));
    }

    #[test]
    fn a_bad_filter_is_reported_with_what_is_allowed() {
        let error = check_filter("posemesh=loud").unwrap_err().to_string();
        assert!(error.contains("posemesh=loud") && error.contains("write it as"), "{error}");
        check_filter("warn,posemesh=debug").unwrap();
    }
}
