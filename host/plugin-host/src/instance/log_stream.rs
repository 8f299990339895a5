//! A standard stream of a guest, cut into lines.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::instance::runner_log::{MAX_LINE, RunnerLog};

/// What a guest writes to; the clones that WASI makes share one unfinished line.
#[derive(Debug, Clone)]
pub(crate) struct LogStream {
    log: RunnerLog,
    name: &'static str,
    partial: Arc<Mutex<Vec<u8>>>,
}

impl LogStream {
    /// A stream whose lines are logged under this name (`stdout`, `stderr`).
    pub(crate) fn new(log: &RunnerLog, name: &'static str) -> Self {
        Self { log: log.clone(), name, partial: Arc::default() }
    }

    fn push(&self, bytes: &[u8]) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            // A guest that never ends a line must not make the host hold more than two lines of it.
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
    pub(crate) fn finish(&self) {
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
        // Never pending: what is over the budget is dropped and counted, and a guest can't block on its output.
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
    use tracing::Span;

    use super::*;

    #[test]
    fn lines_are_split_escaped_and_cut_off_at_the_budget() {
        let log = RunnerLog::new(40, Span::none());
        let out = LogStream::new(&log, "stdout");
        out.push(b"one\ntw");
        out.push(b"o\x1b[2J\nlast");
        out.finish();
        out.push(&[b'x'; 100]);
        out.finish();
        let (tail, dropped) = log.tail();
        assert_eq!(tail, ["one", "two\\u{1b}[2J", "last"]);
        assert_eq!(dropped, 1, "the long line is over the budget");
    }
}
