//! What a runner prints: standard output, standard error and `control.log`, line by line.
//!
//! Lines go to the node's log with control characters escaped, so many a second, and to the task's log
//! file; the last ones are kept for the task's failure. A runner that prints more than its budget is cut
//! off. What was dropped is counted, and said.

pub(crate) mod file;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_text::escaped;
use tracing::{Level, Span};

use crate::instance::rate::TokenBucket;
use crate::instance::runner_log::file::LogFile;

/// The longest line, in bytes; the rest becomes a line of its own.
pub(crate) const MAX_LINE: usize = 2000;
/// The longest event, in bytes of what is printed: that of a report of control characters would be seven times as long.
const MAX_EVENT: usize = 2 << 20;
/// Lines that one task may put into the node's log a second, with ten times that at once.
const LINES_PER_SECOND: u64 = 50;
/// How many lines are kept for a failure.
const TAIL_LINES: usize = 20;

/// Takes the lines of a log that is kept elsewhere: the stream, how much the line matters, the escaped line.
type PassOn = Box<dyn Fn(&'static str, Level, &str) + Send>;

/// One task's log. Cloning shares.
#[derive(Debug, Clone)]
pub(crate) struct RunnerLog {
    state: Arc<Mutex<LogState>>,
    span: Span,
}

struct LogState {
    bytes: u64,
    bytes_left: u64,
    /// All lines, kept or dropped.
    lines: u64,
    /// Lines beyond the budget of bytes.
    dropped_lines: u64,
    tail: VecDeque<String>,
    /// Lines that the node's log may still take.
    node_log_rate: TokenBucket,
    /// Lines that came too fast for the node's log since it last said so.
    skipped: u64,
    file: Option<LogFile>,
    /// The one who gets the lines in place of the node's log.
    pass_on: Option<PassOn>,
}

impl fmt::Debug for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogState").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl RunnerLog {
    /// An empty log with a budget of bytes; lines are logged within `span`.
    pub(crate) fn new(bytes: u64, span: Span) -> Self {
        let state = LogState {
            bytes,
            bytes_left: bytes,
            lines: 0,
            dropped_lines: 0,
            tail: VecDeque::new(),
            node_log_rate: TokenBucket::new(LINES_PER_SECOND),
            skipped: 0,
            file: None,
            pass_on: None,
        };
        Self { state: Arc::new(Mutex::new(state)), span }
    }

    /// An empty log whose lines are passed on, in a process that has no log of its own.
    pub(crate) fn passed_on(bytes: u64, to: impl Fn(&'static str, Level, &str) + Send + 'static) -> Self {
        let log = Self::new(bytes, Span::none());
        log.state().pass_on = Some(Box::new(to));
        log
    }

    /// Counts lines that were dropped before they came here.
    pub(crate) fn count_dropped(&self, lines: u64) {
        self.state().dropped_lines += lines;
    }

    /// Keeps every line within the budget in a file too.
    pub(crate) fn keep_in(&self, file: LogFile) {
        self.state().file = Some(file);
    }

    /// How many bytes were printed, within the budget.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state();
        state.bytes - state.bytes_left
    }

    /// How many lines were printed so far, those beyond the budget too.
    pub(crate) fn lines(&self) -> u64 {
        self.state().lines
    }

    /// The lines that were printed after the first `before`; None if any of them is not kept.
    pub(crate) fn lines_since(&self, before: u64) -> Option<Vec<String>> {
        let state = self.state();
        let since = usize::try_from(state.lines.saturating_sub(before)).unwrap_or(usize::MAX);
        if since == 0 {
            return Some(Vec::new());
        }
        let skipped = state.tail.len().checked_sub(since).filter(|_| state.dropped_lines == 0)?;
        Some(state.tail.iter().skip(skipped).cloned().collect())
    }

    /// One message, which may have several lines.
    pub(crate) fn line(&self, stream: &'static str, level: Level, text: &str) {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).flat_map(pieces);
        for line in lines {
            self.take(stream, level, &printable(line), true);
        }
    }

    /// What the node has to say of what the runner did: logged as a line is, but no last word of a failure.
    pub(crate) fn remark(&self, text: &str) {
        self.take("node", Level::WARN, &printable(text), false);
    }

    /// An event that the runner reports: logged as a line is, but not kept for a failure.
    pub(crate) fn event(&self, json: &str) {
        // Escaping makes nothing shorter, and what is left of the budget never grows.
        let may_fit = self.state().bytes_left > json.len() as u64;
        match may_fit {
            true => {
                let line = printable(json);
                self.take(
                    "event",
                    Level::INFO,
                    line.get(..line.floor_char_boundary(MAX_EVENT)).unwrap_or_default(),
                    false,
                );
            }
            false => self.take("event", Level::INFO, json, false),
        }
    }

    fn take(&self, stream: &'static str, level: Level, line: &str, keep: bool) {
        let mut state = self.state();
        // Events are the node's words for what the runner reports; what it prints are its own.
        state.lines += u64::from(keep);
        // One for the line end: empty or very short lines must not be free.
        let cost = line.len() as u64 + 1;
        if state.bytes_left < cost {
            // Nothing shorter gets through later: what is kept is a beginning without gaps.
            state.bytes_left = 0;
            state.dropped_lines += 1;
            return;
        }
        state.bytes_left -= cost;
        if keep {
            if state.tail.len() == TAIL_LINES {
                state.tail.pop_front();
            }
            state.tail.push_back(line.to_owned());
        }
        if let Some(pass_on) = &state.pass_on {
            pass_on(stream, level, line);
            return;
        }
        // Before the rate is asked: that one protects the node's log only, the file keeps every line.
        if let Some(file) = &state.file {
            file.write(stream, line);
        }
        if !state.node_log_rate.take() {
            state.skipped += 1;
            return;
        }
        // Said with the next line that gets through, so that a gap in the log is seen where it is.
        let skipped = std::mem::take(&mut state.skipped);
        drop(state);
        self.span.in_scope(|| {
            warn_of_skipped(skipped);
            match level {
                Level::ERROR => tracing::error!(target: "runner", stream, "{line}"),
                Level::WARN => tracing::warn!(target: "runner", stream, "{line}"),
                Level::INFO => tracing::info!(target: "runner", stream, "{line}"),
                _ => tracing::debug!(target: "runner", stream, "{line}"),
            }
        });
    }

    /// Waits until every line so far is in its file.
    pub(crate) async fn written(&self) {
        let file = self.state().file.clone();
        if let Some(file) = file {
            file.written().await;
        }
    }

    /// Says in the node's log and in the file how much was dropped, when the run is over. The file is whole then.
    pub(crate) async fn close(&self) {
        let (dropped, skipped, file) = {
            let mut state = self.state();
            (state.dropped_lines, std::mem::take(&mut state.skipped), state.file.take())
        };
        if let Some(file) = file {
            if dropped > 0 {
                file.write("node", &format!("dropped {dropped} lines (limit log_bytes)"));
            }
            file.written().await;
        }
        self.span.in_scope(|| {
            warn_of_skipped(skipped);
            if dropped > 0 {
                tracing::warn!(target: "runner", "dropped {dropped} lines (limit log_bytes)");
            }
        });
    }

    /// The last lines, and how many were dropped for the budget.
    pub(crate) fn tail(&self) -> (Vec<String>, u64) {
        let state = self.state();
        (state.tail.iter().cloned().collect(), state.dropped_lines)
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of_skipped(lines: u64) {
    if lines > 0 {
        tracing::warn!(target: "runner", "dropped {lines} lines: more than {LINES_PER_SECOND} a second");
    }
}

/// A line in pieces of at most [`MAX_LINE`] bytes, cut between characters.
fn pieces(mut line: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = line.split_at_checked(line.floor_char_boundary(MAX_LINE))?;
        line = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Escapes what could move a terminal's cursor or fake a line. Tabs stay: tables are printed with them.
fn printable(line: &str) -> String {
    let cells: Vec<String> = line.split('\t').map(|cell| escaped(cell).to_string()).collect();
    cells.join("\t")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_has_every_line_though_the_log_skips_some() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.log");
        let log = RunnerLog::new(10_000, Span::none());
        log.keep_in(LogFile::new(path.clone(), Default::default()));
        assert!(!path.exists(), "a runner that prints nothing has no file");
        for number in 0..600 {
            log.line("stdout", Level::INFO, &format!("line {number}"));
        }
        log.event(r#"{"at": 1}"#);
        assert!(log.state().skipped >= 90, "500 at once and no more");
        assert_eq!(log.tail().0.last().map(String::as_str), Some("line 599"), "an event is no last word");
        log.line("stderr", Level::INFO, &"x".repeat(1999).repeat(10));
        log.close().await;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with(" stdout line 0") && lines[599].ends_with(" stdout line 599"));
        assert!(lines[600].ends_with(r#" event {"at": 1}"#), "{}", lines[600]);
        assert!(text.trim_end().ends_with("lines (limit log_bytes)"), "{text}");
    }

    #[test]
    fn a_message_without_line_ends_is_cut_between_characters() {
        let log = RunnerLog::new(1 << 20, Span::none());
        log.line("log", Level::INFO, &"ü".repeat(3000));
        let (tail, _) = log.tail();
        assert_eq!(tail.len(), 3);
        assert!(tail.iter().all(|line| line.len() <= MAX_LINE));
    }
}
