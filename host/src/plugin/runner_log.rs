//! What a runner prints: standard output, standard error and `control.log`, line by line.
//!
//! Lines go to the node's log with control characters escaped; the last ones are kept for the task's
//! failure. A runner that prints more than its budget is cut off and what was dropped is counted.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tracing::{Level, Span};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// The longest line; the rest becomes a line of its own.
const MAX_LINE: usize = 2000;
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
    bytes_left: u64,
    dropped_lines: u64,
    tail: VecDeque<String>,
}

impl RunnerLog {
    /// An empty log with a budget of bytes; lines are logged within `span`.
    pub fn new(bytes: u64, span: Span) -> Self {
        let state = State { bytes_left: bytes, dropped_lines: 0, tail: VecDeque::new() };
        Self { state: Arc::new(Mutex::new(state)), span }
    }

    /// A stream whose lines are logged under this name (`stdout`, `stderr`).
    pub fn stream(&self, name: &'static str) -> LogStream {
        LogStream { log: self.clone(), name, partial: Arc::default() }
    }

    /// One message, which may have several lines.
    pub fn line(&self, stream: &'static str, level: Level, text: &str) {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).flat_map(pieces);
        for line in lines {
            let line = escape(line);
            let mut state = self.state();
            let cost = line.len() as u64 + 1;
            if state.bytes_left < cost {
                state.bytes_left = 0;
                state.dropped_lines += 1;
                continue;
            }
            state.bytes_left -= cost;
            if state.tail.len() == TAIL_LINES {
                state.tail.pop_front();
            }
            state.tail.push_back(line.clone());
            drop(state);
            self.span.in_scope(|| match level {
                Level::ERROR => tracing::error!(target: "runner", stream, "{line}"),
                Level::WARN => tracing::warn!(target: "runner", stream, "{line}"),
                Level::INFO => tracing::info!(target: "runner", stream, "{line}"),
                _ => tracing::debug!(target: "runner", stream, "{line}"),
            });
        }
    }

    /// Says in the node's log how much was dropped, when the run is over.
    pub fn close(&self) {
        let dropped = self.state().dropped_lines;
        if dropped > 0 {
            self.span
                .in_scope(|| tracing::warn!(target: "runner", "dropped {dropped} lines (limit log_bytes)"));
        }
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
    fn a_message_without_line_ends_is_cut_between_characters() {
        let log = RunnerLog::new(1 << 20, Span::none());
        log.line("log", Level::INFO, &"ü".repeat(3000));
        let (tail, _) = log.tail();
        assert_eq!(tail.len(), 3);
        assert!(tail.iter().all(|line| line.len() <= MAX_LINE));
    }
}
