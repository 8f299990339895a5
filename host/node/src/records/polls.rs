//! What came of the node's requests for work.

use std::time::Duration;

use posemesh_text::one_line;
use tokio::time::Instant;

/// How much of an error is kept, in bytes.
const MAX_ERROR: usize = 500;

/// What came of requests for work so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollsSeen {
    /// When the server last gave an answer that is one of a job server's.
    answered: Option<Instant>,
    /// What the last one brought, in one word, and when.
    last: Option<(&'static str, Instant)>,
    /// How the last one failed; none if it was answered.
    error: Option<String>,
}

impl PollsSeen {
    pub(super) fn answered(&mut self, result: &'static str) {
        let now = Instant::now();
        *self = Self { answered: Some(now), last: Some((result, now)), error: None };
    }

    /// The error may be a server's: it is kept on one line and bounded.
    pub(super) fn failed(&mut self, result: &'static str, error: &str) {
        self.last = Some((result, Instant::now()));
        self.error = Some(one_line(error, MAX_ERROR));
    }

    /// How long ago the server last answered.
    pub(crate) fn since_answer(&self) -> Option<Duration> {
        self.answered.map(|at| at.elapsed())
    }

    /// What the last request brought, in one word, and how long ago that was.
    pub(crate) fn last(&self) -> Option<(&'static str, Duration)> {
        self.last.map(|(result, at)| (result, at.elapsed()))
    }

    /// How the last request failed; none if it was answered.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
