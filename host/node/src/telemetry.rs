//! The log: JSON or text lines on standard error or in a file (protocol 8.1); and traces.
//!
//! Nobody who logs ever waits for the log or fails by it: lines go through a bounded queue ([`queue`]).

mod error;
mod file;
mod filter;
mod format;
mod priority;
mod queue;
mod start;
mod traces;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd as _;

use posemesh_text::one_line;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub use error::TelemetryError;
pub use file::LogFile;
pub use filter::{filter, set_filter};
pub use format::LogFormat;
pub use queue::{LogGuard, dropped_lines, recent_lines};
pub use start::{tell_panics, tell_start_error};
pub use traces::TraceSettings;
#[cfg(feature = "otel")]
pub(crate) use traces::parse_headers;
pub(crate) use traces::{TASK, adopt, ended};

/// How many bytes of a path are shown.
const SHOWN_BYTES: usize = 400;

/// How the log looks, what is in it, and where it goes.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// How log lines look.
    pub format: LogFormat,
    /// Which lines are logged: a level, and levels for targets that begin with a name, as in
    /// `info,posemesh=debug`.
    pub filter: String,
    /// Where they go; to standard error if none.
    pub file: Option<LogFile>,
    /// Where traces of tasks go; nowhere if none, or if the program was built without the feature `otel`.
    pub traces: Option<TraceSettings>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned(), file: None, traces: None }
    }
}

/// Starts the log of the process. Panics are logged as well, instead of being printed by whoever panics.
///
/// # Errors
/// When the filter is wrong, the file can't be opened, or a subscriber is installed already. A program that embeds the
/// node can ignore the latter.
pub fn init(settings: &LogSettings) -> Result<LogGuard, TelemetryError> {
    let LogSettings { format, filter: text, file, .. } = settings;
    let filter = filter::parse(text)?;
    let stderr = io::stderr();
    // Colour codes are for terminals only: in JSON or in a file they would be in the way of programs.
    let colour = *format == LogFormat::Text && file.is_none() && stderr.is_terminal();
    let priorities = file.is_none() && priority::is_wanted_by(&stderr);
    let out: Box<dyn Write + Send> = match file {
        Some(file) => Box::new(file::RotatingFile::open(file.clone(), *format).map_err(|error| {
            TelemetryError::File { path: one_line(file.path.display(), SHOWN_BYTES), error }
        })?),
        // A descriptor of its own: the lock of `io::stderr` would be held for as long as a write is held up.
        None => Box::new(File::from(stderr.as_fd().try_clone_to_owned().map_err(TelemetryError::Stderr)?)),
    };
    #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "there is nothing to be added"))]
    let (queue, mut guard) =
        queue::start(out, *format, priorities).map_err(|error| TelemetryError::Thread { error })?;
    let (losses, recent) = (queue.losses.clone(), queue.recent.clone());
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(queue).log_internal_errors(false).with_ansi(colour);
    // Each layer has its filter: traces have all tasks, whatever the log shows.
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
        LogFormat::Text => lines.with_filter(filter).boxed(),
    };
    #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "there is nothing to be added"))]
    let mut layers = vec![lines];
    #[cfg(feature = "otel")]
    if let Some(settings) = &settings.traces {
        let (layer, traces) = traces::start(settings)?;
        layers.push(layer.boxed());
        guard.send_at_end(traces);
    }
    tracing_subscriber::registry().with(layers).try_init().map_err(|_| TelemetryError::Installed)?;
    filter::publish(text, move |filter| handle.reload(filter).is_ok());
    losses.publish();
    queue::publish(recent);
    std::panic::set_hook(Box::new(|panic| {
        let (message, at) = start::panic_text(panic);
        tracing::error!(at, "{message}");
    }));
    Ok(guard)
}

/// Whether [`init`] would accept the filter.
///
/// # Errors
/// When it would not; the text says why.
pub(crate) fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    filter::parse(filter).map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_reported_with_what_is_allowed() {
        let error = check_filter("posemesh=loud").unwrap_err().to_string();
        assert!(error.contains("posemesh=loud") && error.contains("write it as"), "{error}");
        check_filter("warn,posemesh=debug").unwrap();
        assert!(check_filter(&"info,".repeat(1000)).is_err());
    }
}
