//! The log: JSON or text lines on standard error (protocol 8.1).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use posemesh_text::one_line;

/// How many bytes of a wrong filter are quoted.
const QUOTED_BYTES: usize = 200;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people, in colour on a terminal.
    Text,
}

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
    /// The process has a subscriber already; it stays.
    #[error("this process has a log subscriber already, which stays in use")]
    Installed,
}

/// Starts the log of the process; for `filter` see [`LogSettings::filter`].
///
/// # Errors
/// When the filter is wrong, or when a subscriber is installed already. A program that embeds the node
/// can ignore the latter.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    // Colour codes are for terminals only: in JSON or in a file they would be in the way of programs.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parse_filter(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(format == LogFormat::Text && std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => subscriber.try_init(),
    }
    .map_err(|_| TelemetryError::Installed)
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
