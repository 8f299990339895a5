//! Notices a request that makes no progress, or whose body can't be read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Watches one attempt at a request. reqwest's own timeouts cover a whole request, which for a body of many GiB
/// can't be bounded; this one bounds the time without progress.
#[derive(Debug)]
pub(crate) struct StallDetector {
    started: Instant,
    /// Milliseconds from `started` to the last progress.
    last_progress: AtomicU64,
    /// Bytes of the body that the connection has not taken yet.
    unsent: AtomicU64,
    /// Why the body could not be read from its file.
    read_error: OnceLock<String>,
}

impl StallDetector {
    /// Watches a request whose body has `length` bytes.
    pub(crate) fn new(length: u64) -> Self {
        Self {
            started: Instant::now(),
            last_progress: AtomicU64::new(0),
            unsent: AtomicU64::new(length),
            read_error: OnceLock::new(),
        }
    }

    pub(crate) fn sent(&self, bytes: usize) {
        // One stream at a time feeds the detector, so nothing is lost between load and store.
        let unsent = self.unsent.load(Ordering::Acquire).saturating_sub(bytes as u64);
        // The progress is stored before the count: whoever sees zero unsent also sees when that came about,
        // so the wait for the answer is measured from the last byte.
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0);
        self.last_progress.store(now, Ordering::Release);
        self.unsent.store(unsent, Ordering::Release);
    }

    /// The body can't be read; the first error counts.
    pub(crate) fn unreadable(&self, error: &std::io::Error) {
        self.read_error.get_or_init(|| error.to_string());
    }

    /// Why the body could not be read, if so: the request then failed by this node's fault, whatever its error says.
    pub(crate) fn read_error(&self) -> Option<&str> {
        self.read_error.get().map(String::as_str)
    }

    /// Waits until the request has made no progress for too long: `idle` while the body is sent, `first_byte`
    /// after its last byte. Returns the phase and the timeout that passed.
    pub(crate) async fn stalled(&self, idle: Duration, first_byte: Duration) -> (&'static str, Duration) {
        loop {
            let (phase, timeout) = if self.unsent.load(Ordering::Acquire) == 0 {
                ("waiting for the answer", first_byte)
            } else {
                ("sending the request", idle)
            };
            let last_progress = Duration::from_millis(self.last_progress.load(Ordering::Acquire));
            let deadline = self.started + last_progress + timeout;
            if Instant::now() >= deadline {
                return (phase, timeout);
            }
            // No wake-up at each chunk: after the sleep the deadline is computed anew from the last progress.
            sleep_until(deadline).await;
        }
    }
}
