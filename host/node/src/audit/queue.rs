//! The way of a line to the file: through a bounded queue, so that nobody who records something waits or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::file::{AuditError, AuditFile};
use super::line::line;

/// How many lines wait at most.
const QUEUED_LINES: usize = 1024;
/// How long the end of the node waits for lines that are not written yet.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What the thread is sent.
enum Message {
    Line(String),
    /// To be answered when all before it is done.
    Flush(oneshot::Sender<()>),
}

/// Takes whole lines and never fails.
pub(super) struct AuditQueue {
    messages: SyncSender<Message>,
    /// Lines that found the queue full or could not be written.
    lost: Arc<AtomicU64>,
}

impl AuditQueue {
    /// Starts the thread. It ends with the queue, after what waits in it.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub(super) fn start(file: AuditFile) -> Result<Self, AuditError> {
        let (sender, messages) = sync_channel(QUEUED_LINES);
        let path = file.path().to_owned();
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        let started =
            thread::Builder::new().name("audit".to_owned()).spawn(move || write(&messages, file, &counted));
        started.map(|_| Self { messages: sender, lost }).map_err(|error| AuditError { path, error })
    }

    pub(super) fn put(&self, line: String) {
        if self.messages.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn lost_lines(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            let _ = timeout(FLUSH_TIMEOUT, written).await;
        }
    }
}

/// Writes until nobody can send any more.
fn write(messages: &Receiver<Message>, mut file: AuditFile, lost_lines: &AtomicU64) {
    // Lost lines that the file has told of.
    let mut told = 0;
    let mut is_failing = false;
    while let Ok(message) = messages.recv() {
        let text = match message {
            Message::Line(text) => text,
            Message::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let lost = lost_lines.load(Ordering::Relaxed);
        let notice = (lost > told).then(|| line("lines_lost", 0, vec![("lines", Value::from(lost - told))]));
        let written = notice.as_deref().map_or(Ok(()), |notice| file.append(notice)).and_then(|()| {
            told = lost;
            file.append(&text)
        });
        match written {
            Ok(()) if std::mem::take(&mut is_failing) => {
                tracing::info!(
                    "the audit log is written again; {lost} of its lines are lost since the start"
                );
            }
            Ok(()) => {}
            Err(error) => {
                lost_lines.fetch_add(1, Ordering::Relaxed);
                // Said once: the disk may stay full for hours.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::error!(
                        path = %file.path().display(), %error,
                        "the audit log can't be written; the node goes on, and its lines are lost until it can"
                    );
                }
            }
        }
    }
}
