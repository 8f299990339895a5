//! What a runner prints: standard output, standard error and `control.log`, line by line.
//!
//! Lines go to the node's log with control characters escaped, so many a second, and to the task's log
//! file; the last ones are kept for the task's failure. A runner that prints more than its budget is cut
//! off. What was dropped is counted, and said.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tracing::{Level, Span};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use super::log_file::LogFile;
use super::state::TokenBucket;

/// The longest line; the rest becomes a line of its own.
const MAX_LINE: usize = 2000;
/// Lines that one task may put into the node's log a second, with ten times that at once.
const LINES_PER_SECOND: u64 = 50;
/// How many lines are kept for a failure.
const TAIL_LINES: usize = 20;

/// One task's log. Cloning shares.
#[derive(Debug, Clone)]
pub struct RunnerLog {
    state: Arc<Mutex<State>>,
    span: Span,
}

#[derive(Debug)]
struct State {
    bytes: u64,
    bytes_left: u64,
    /// Lines beyond the budget of bytes.
    dropped_lines: u64,
    tail: VecDeque<String>,
    /// Lines that the node's log may still take.
    rate: TokenBucket,
    /// Lines that came too fast for the node's log since it was last told so.
    skipped: u64,
    file: Option<LogFile>,
}

impl RunnerLog {
    /// An empty log with a budget of bytes; lines are logged within `span`.
    pub fn new(bytes: u64, span: Span) -> Self {
        let state = State {
            bytes,
            bytes_left: bytes,
            dropped_lines: 0,
            tail: VecDeque::new(),
            rate: TokenBucket::new(LINES_PER_SECOND),
            skipped: 0,
            file: None,
        };
        Self { state: Arc::new(Mutex::new(state)), span }
    }

    /// Keeps every line within the budget in a file too.
    pub fn keep_in(&self, file: LogFile) {
        self.state().file = Some(file);
    }

    /// How many bytes were printed, within the budget.
    pub fn bytes(&self) -> u64 {
        let state = self.state();
        state.bytes - state.bytes_left
    }

    /// A stream whose lines are logged under this name (`stdout`, `stderr`).
    pub fn stream(&self, name: &'static str) -> LogStream {
        LogStream { log: self.clone(), name, partial: Arc::default() }
    }

    /// One message, which may have several lines.
    pub fn line(&self, stream: &'static str, level: Level, text: &str) {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).flat_map(pieces);
        for line in lines {
            self.take(stream, level, &escape(line), true);
        }
    }

    /// An event that the runner reports: logged as a line is, but not among its last words.
    pub fn event(&self, json: &str) {
        self.take("event", Level::INFO, &escape(json), false);
    }

    fn take(&self, stream: &'static str, level: Level, line: &str, last_words: bool) {
        let mut state = self.state();
        let cost = line.len() as u64 + 1;
        if state.bytes_left < cost {
            state.bytes_left = 0;
            state.dropped_lines += 1;
            return;
        }
        state.bytes_left -= cost;
        if last_words {
            if state.tail.len() == TAIL_LINES {
                state.tail.pop_front();
            }
            state.tail.push_back(line.to_owned());
        }
        if let Some(file) = &mut state.file {
            file.write(stream, line);
        }
        if !state.rate.take() {
            state.skipped += 1;
            return;
        }
        let skipped = std::mem::take(&mut state.skipped);
        drop(state);
        self.span.in_scope(|| {
            if skipped > 0 {
                tracing::warn!(target: "runner", "dropped {skipped} lines: more than {LINES_PER_SECOND} a second");
            }
            match level {
                Level::ERROR => tracing::error!(target: "runner", stream, "{line}"),
                Level::WARN => tracing::warn!(target: "runner", stream, "{line}"),
                Level::INFO => tracing::info!(target: "runner", stream, "{line}"),
                _ => tracing::debug!(target: "runner", stream, "{line}"),
            }
        });
    }

    /// Says in the node's log and in the file how much was dropped, when the run is over.
    pub fn close(&self) {
        let mut state = self.state();
        let (dropped, skipped) = (state.dropped_lines, std::mem::take(&mut state.skipped));
        if let Some(mut file) = state.file.take()
            && dropped > 0
        {
            file.write("node", &format!("dropped {dropped} lines (limit log_bytes)"));
        }
        drop(state);
        self.span.in_scope(|| {
            if skipped > 0 {
                tracing::warn!(target: "runner", "dropped {skipped} lines: more than {LINES_PER_SECOND} a second");
            }
            if dropped > 0 {
                tracing::warn!(target: "runner", "dropped {dropped} lines (limit log_bytes)");
            }
        });
    }

    /// The last lines, and how many were dropped for the budget.
    pub fn tail(&self) -> (Vec<String>, u64) {
        let state = self.state();
        (state.tail.iter().cloned().collect(), state.dropped_lines)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Escapes what could move a terminal's cursor or fake a line.
fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A standard stream of a guest.
#[derive(Debug, Clone)]
pub struct LogStream {
    log: RunnerLog,
    name: &'static str,
    partial: Arc<Mutex<Vec<u8>>>,
}

impl LogStream {
    fn push(&self, bytes: &[u8]) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            for chunk in piece.chunks(MAX_LINE) {
                partial.extend_from_slice(chunk);
                if ends || partial.len() >= MAX_LINE {
                    self.log.line(self.name, Level::INFO, &String::from_utf8_lossy(&partial));
                    partial.clear();
                }
            }
        }
    }

    /// Logs a last line that has no line end.
    pub fn finish(&self) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        if !partial.is_empty() {
            self.log.line(self.name, Level::INFO, &String::from_utf8_lossy(&partial));
            partial.clear();
        }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_escaped_and_cut_off_at_the_budget() {
        let log = RunnerLog::new(40, Span::none());
        let out = log.stream("stdout");
        out.push(b"one\ntw");
        out.push(b"o\x1b[2J\nlast");
        out.finish();
        out.push(&[b'x'; 100]);
        out.finish();
        let (tail, dropped) = log.tail();
        assert_eq!(tail, ["one", "two\\u{1b}[2J", "last"]);
        assert_eq!(dropped, 1, "the long line is over the budget");
    }

    #[test]
    fn the_file_has_every_line_though_the_log_skips_some() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.log");
        let log = RunnerLog::new(10_000, Span::none());
        log.keep_in(LogFile::create(&path).unwrap());
        for number in 0..600 {
            log.line("stdout", Level::INFO, &format!("line {number}"));
        }
        log.event(r#"{"at": 1}"#);
        assert!(log.state().skipped >= 90, "500 at once and no more");
        assert_eq!(log.tail().0.last().map(String::as_str), Some("line 599"), "an event is no last word");
        log.line("stderr", Level::INFO, &"x".repeat(1999).repeat(10));
        log.close();
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
