//! Which lines are logged, and how that is changed while the node runs.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

use super::error::TelemetryError;
use posemesh_net::trace::TARGET;
use posemesh_text::one_line;

/// How many bytes of a wrong filter are quoted.
const QUOTED_BYTES: usize = 200;
/// The longest filter, in bytes.
const MAX_FILTER: usize = 2000;

/// The filter of the log of this process.
static CURRENT: OnceLock<Reloadable> = OnceLock::new();

struct Reloadable {
    text: Mutex<String>,
    reload: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

/// Changes which lines are logged from now on.
///
/// # Errors
/// When the filter is wrong, or this process has no log of ours.
pub fn set_filter(filter: &str) -> Result<(), TelemetryError> {
    let parsed = parse(filter)?;
    let Some(current) = CURRENT.get() else { return Err(TelemetryError::NoLog) };
    let mut text = current.text.lock().unwrap_or_else(PoisonError::into_inner);
    if !(current.reload)(parsed) {
        return Err(TelemetryError::NoLog);
    }
    *text = filter.to_owned();
    Ok(())
}

/// Which lines are logged now; none if this process has no log of ours.
pub fn filter() -> Option<String> {
    CURRENT.get().map(|current| current.text.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Makes this filter the one that [`set_filter`] changes.
pub(super) fn publish(text: &str, reload: impl Fn(EnvFilter) -> bool + Send + Sync + 'static) {
    let _ = CURRENT.set(Reloadable { text: Mutex::new(text.to_owned()), reload: Box::new(reload) });
}

/// Reads a filter.
///
/// # Errors
/// When it is wrong; the text says why.
pub(super) fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let wrong = |reason: String| TelemetryError::Filter { filter: one_line(filter, QUOTED_BYTES), reason };
    if filter.len() > MAX_FILTER {
        return Err(wrong(format!("it has more than {MAX_FILTER} bytes")));
    }
    let parsed = EnvFilter::try_new(filter).map_err(|error| wrong(error.to_string()))?;
    // Spans of traces are no part of the log, whatever the filter says.
    let no_traces = format!("{TARGET}=off").parse().map_err(|error| wrong(format!("{error}")))?;
    Ok(parsed.add_directive(no_traces))
}
