//! The way of a line to its descriptor: through a bounded queue, so that nobody who logs ever waits or fails.
//!
//! A thread of its own takes lines from the queue and writes them. When it is held up, by a pipe that nobody reads
//! or a terminal that is paused, the queue fills and further lines are dropped and counted; when a write fails, the
//! line is counted as well. The first line that gets through again is preceded by one that says how many are missing.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::format::{LogFormat, line};
use super::priority;

/// How many lines wait at most.
const QUEUED_LINES: usize = 2048;
/// The longest line in bytes; together with the number of lines it bounds the queue's memory.
const MAX_LINE: usize = 16 << 10;
/// How long the end of the log waits for a place in the queue, and then for what waits in it to be written.
const END_WAIT: Duration = Duration::from_millis(100);
const LAST_LINES: Duration = Duration::from_secs(1);
/// The wait before a descriptor that takes no more bytes is tried again.
const FULL_WAIT: Duration = Duration::from_millis(20);

/// How long the thread lets lines gather.
const LINGER: Duration = Duration::from_millis(1);

/// How many of the last lines are kept in memory, and how many bytes of them.
const RECENT_LINES: usize = 500;
const RECENT_BYTES: usize = 256 << 10;

/// The last lines of the log of this process.
static RECENT: OnceLock<Arc<Recent>> = OnceLock::new();
/// The losses of the log of this process.
static LOSSES: OnceLock<Arc<Losses>> = OnceLock::new();

/// Lines of the log that are lost since the process started: the queue was full, or they could not be written.
pub fn dropped_lines() -> u64 {
    LOSSES.get().map(|losses| losses.count()).unwrap_or_default()
}

/// The last lines of the log, oldest first, each without its line break: for whoever asks the node how it is.
pub fn recent_lines() -> Vec<String> {
    let Some(recent) = RECENT.get() else { return Vec::new() };
    let kept = recent.kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
}

/// Makes these the lines that [`recent_lines`] tells.
pub(super) fn publish(recent: Arc<Recent>) {
    let _ = RECENT.set(recent);
}

/// The last lines of one queue. Filled by its thread, so that nobody who logs waits for a reader.
#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: Mutex<KeptLines>,
}

#[derive(Debug, Default)]
struct KeptLines {
    lines: VecDeque<Vec<u8>>,
    /// Of all lines together.
    bytes: usize,
}

impl Recent {
    fn add(&self, line: Vec<u8>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.lines.len() > RECENT_LINES || kept.bytes > RECENT_BYTES {
            let Some(oldest) = kept.lines.pop_front() else { return };
            kept.bytes -= oldest.len();
        }
    }
}

/// What one queue has lost.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Lines that could not be written.
    failed: AtomicU64,
    /// Lines that found the queue full.
    full: AtomicU64,
}

impl Losses {
    fn count(&self) -> u64 {
        self.failed.load(Ordering::Relaxed).saturating_add(self.full.load(Ordering::Relaxed))
    }

    fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes these the ones that [`dropped_lines`] counts.
    pub(super) fn publish(self: &Arc<Self>) {
        let _ = LOSSES.set(self.clone());
    }
}

/// What the thread is told.
enum Order {
    Write(Level, Vec<u8>),
    End,
}

/// Keeps the thread that writes the log. Dropping it writes what waits, for at most about a second.
#[must_use = "the log ends with it"]
#[derive(Debug)]
pub struct LogGuard {
    queue: LineQueue,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    #[cfg(feature = "otel")]
    traces: Option<super::traces::Traces>,
}

impl LogGuard {
    /// Sends the spans of traces that are left, for two seconds at most.
    pub async fn send_traces(&mut self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces.take() {
            // An error means that the runtime ends, and with it the way to the collector.
            let _ = tokio::task::spawn_blocking(move || traces.end()).await;
        }
    }

    #[cfg(feature = "otel")]
    pub(super) fn send_at_end(&mut self, traces: super::traces::Traces) {
        self.traces = Some(traces);
    }

    /// Logs a line with fields of any kind, whatever the filter says: what the node is, at its start.
    pub fn tell(&self, message: &str, fields: Map<String, Value>) {
        let text = line(self.queue.format, "INFO", "posemesh_node", message, fields);
        let _ = self.queue.clone().write(text.as_bytes());
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let mut tries = END_WAIT.as_millis() / FULL_WAIT.as_millis();
        while let Err(TrySendError::Full(_)) = self.queue.orders.try_send(Order::End) {
            if tries == 0 {
                return;
            }
            tries -= 1;
            thread::sleep(FULL_WAIT);
        }
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}

/// Starts the thread that writes lines to `out`, each with its priority before it if those are wanted there.
///
/// # Errors
/// When it can't be started.
pub(super) fn start(
    out: impl Write + Send + 'static,
    format: LogFormat,
    priorities: bool,
) -> io::Result<(LineQueue, LogGuard)> {
    let losses = Arc::new(Losses::default());
    let mut sink = Sink { out, format, priorities, losses: losses.clone(), told: 0, mid_line: false };
    let (orders, queue) = sync_channel(QUEUED_LINES);
    let recent = Arc::new(Recent::default());
    let kept = recent.clone();
    let (alive, ended) = sync_channel(0);
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        let _alive: SyncSender<()> = alive;
        while let Ok(first) = queue.recv() {
            let mut order = Some(first);
            while let Some(Order::Write(level, line)) = order {
                sink.write(level, &line);
                kept.add(line);
                order = queue.try_recv().ok();
            }
            if let Some(Order::End) = order {
                return;
            }
            // Lines come in bursts: whoever logs the next one need not wake this thread.
            thread::sleep(LINGER);
        }
    })?;
    let queue = LineQueue { orders, format, level: Level::INFO, losses, recent };
    let guard = LogGuard {
        queue: queue.clone(),
        ended,
        #[cfg(feature = "otel")]
        traces: None,
    };
    Ok((queue, guard))
}

/// Takes whole lines and never fails.
#[derive(Debug, Clone)]
pub(super) struct LineQueue {
    orders: SyncSender<Order>,
    format: LogFormat,
    /// Of the lines that are written to this clone.
    level: Level,
    pub(super) losses: Arc<Losses>,
    pub(super) recent: Arc<Recent>,
}

impl LineQueue {
    fn put(&self, level: Level, line: Vec<u8>) {
        if self.orders.try_send(Order::Write(level, line)).is_err() {
            self.losses.full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() > MAX_LINE {
            let text = format!("a log line of {} bytes was left out; {MAX_LINE} are the most", line.len());
            self.put(Level::WARN, notice(self.format, &text).into_bytes());
        } else {
            self.put(self.level, line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Self::Writer {
        Self { level: *about.level(), ..self.clone() }
    }
}

/// The end of the queue: writes, and counts what it can't write.
struct Sink<W> {
    out: W,
    format: LogFormat,
    priorities: bool,
    losses: Arc<Losses>,
    /// How many lost lines the log has told of.
    told: u64,
    /// Whether the last write failed within a line.
    mid_line: bool,
}

impl<W: Write> Sink<W> {
    /// Writes a line, and tells before it of those that are lost. What can't be written is counted.
    fn write(&mut self, level: Level, line: &[u8]) {
        let lost = self.losses.count();
        if lost > self.told {
            let text = format!("the log flows again; {} lines before this one are lost", lost - self.told);
            if self.put(Level::WARN, notice(self.format, &text).as_bytes()).is_err() {
                // It does not flow yet.
                self.losses.failed();
                return;
            }
            self.told = lost;
        }
        if self.put(level, line).is_err() {
            self.losses.failed();
        }
    }

    fn put(&mut self, level: Level, line: &[u8]) -> io::Result<()> {
        if self.mid_line {
            self.put_all(b"\n")?;
            self.mid_line = false;
        }
        match self.priorities {
            // In one piece: another program's line could come between two.
            true => self.put_all(&[priority::prefix(level), line].concat()),
            false => self.put_all(line),
        }
    }

    fn put_all(&mut self, mut rest: &[u8]) -> io::Result<()> {
        let whole = rest.len();
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares the descriptor may have made it non-blocking. This thread may wait.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_WAIT),
                Err(error) => {
                    self.mid_line |= rest.len() < whole;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// A line of the log's own.
fn notice(format: LogFormat, text: &str) -> String {
    line(format, "WARN", module_path!(), text, Map::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;

    /// A reader that answers only when it is told to, as a pipe that nobody drains.
    struct HeldUp {
        go_on: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for HeldUp {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The sender is gone: the reader has come back for good.
            let _ = self.go_on.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_nobody_drains_holds_up_nobody_and_what_is_lost_is_told() {
        let (reader, go_on) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut queue, guard) =
            start(HeldUp { go_on, written: written.clone() }, LogFormat::Json, false).unwrap();
        for number in 0..QUEUED_LINES + 500 {
            queue.write_all(format!("{{\"line\":{number}}}\n").as_bytes()).unwrap();
        }
        assert!(queue.losses.count() >= 498, "all but the queue's are dropped");
        drop(reader);
        // What waited is written by the thread; a line that comes then is preceded by the notice.
        while !String::from_utf8_lossy(&written.lock().unwrap()).contains("\"line\":2000}") {
            // Long enough that the thread gets the lock.
            thread::sleep(Duration::from_millis(5));
        }
        queue.write_all(b"{\"last\":true}\n").unwrap();
        drop(guard);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(written.contains("the log flows again"), "{written}");
        assert!(written.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn a_disk_that_is_full_for_a_while_costs_lines_and_nothing_else() {
        /// Takes half of a line and then refuses, twice.
        struct Full(u32, Arc<Mutex<Vec<u8>>>);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => {
                        let half = bytes.len() / 2;
                        self.1.lock().unwrap().extend_from_slice(&bytes[..half]);
                        Ok(half)
                    }
                    2 | 3 => Err(ErrorKind::StorageFull.into()),
                    _ => {
                        self.1.lock().unwrap().extend_from_slice(bytes);
                        Ok(bytes.len())
                    }
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut sink = Sink {
            out: Full(0, written.clone()),
            format: LogFormat::Text,
            priorities: false,
            losses: Arc::default(),
            told: 0,
            mid_line: false,
        };
        for line in ["first half is there\n", "lost\n", "well again\n"] {
            sink.write(Level::INFO, line.as_bytes());
        }
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert!(lines[0].starts_with("first"), "{written}");
        assert!(lines[1].contains("2 lines before this one are lost"), "{written}");
        assert_eq!(lines[2], "well again", "a line begins where a line should begin");
    }

    #[test]
    fn the_last_lines_are_kept_within_bounds() {
        let recent = Recent::default();
        for number in 0..RECENT_LINES + 10 {
            recent.add(format!("{number}\n").into_bytes());
        }
        {
            let kept = recent.kept.lock().unwrap();
            assert_eq!((kept.lines.len(), kept.lines[0].as_slice()), (RECENT_LINES, &b"10\n"[..]));
        }
        for _ in 0..40 {
            recent.add(vec![b'x'; MAX_LINE]);
        }
        let kept = recent.kept.lock().unwrap();
        assert!(kept.bytes <= RECENT_BYTES && kept.lines.len() == RECENT_BYTES / MAX_LINE);
    }

    #[test]
    fn a_line_that_is_too_long_is_replaced() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (reader, go_on) = mpsc::channel();
        drop(reader);
        let (mut queue, guard) =
            start(HeldUp { go_on, written: written.clone() }, LogFormat::Json, false).unwrap();
        queue.write_all(&vec![b'x'; MAX_LINE + 1]).unwrap();
        drop(guard);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(written.contains("a log line of 16385 bytes was left out"), "{written}");
    }
}
