//! What happened in a run, line by line.

use std::time::Duration;

/// The lines of a run, if they are wanted: a run that goes well is not written down.
pub(super) struct Trace(Option<Vec<String>>);

impl Trace {
    pub(super) fn new(wanted: bool) -> Self {
        Self(wanted.then(Vec::new))
    }

    /// Adds a line; `what` is only formatted if lines are wanted.
    pub(super) fn note(&mut self, at: Duration, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("{:10.3}  {}", at.as_secs_f64(), what()));
        }
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        self.0.take().unwrap_or_default()
    }
}
