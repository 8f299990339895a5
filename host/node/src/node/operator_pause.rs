//! The pause that an operator asked for holds until the node is resumed, or until its time: a restart, or a crash, is nobody's
//! word that it is over. It is noted in WORK_DIR before whoever asked is answered.

use std::sync::Arc;
use std::time::Duration;

use posemesh_text::one_line;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::note_file::{NoteFile, warn_of_unwritten};
use crate::millis::millis;
use crate::shutdown::{Pause, Shutdown};
use crate::wall_clock::now_ms;

/// The longest note that is believed, in bytes.
const MAX_NOTE: usize = 400;
/// The longest time that a pause can be given; the clock may have been set meanwhile.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// A pause as the next process is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PausedNote {
    /// In the words of whoever paused the node.
    note: String,
    /// When leases are taken again, in milliseconds since 1970; not before the node is resumed if none.
    until_ms: Option<u64>,
    /// How long that was when it was noted: a clock that was set back makes it no longer.
    length_ms: Option<u64>,
    /// Which process has noted it.
    writer: Uuid,
}

impl PausedNote {
    /// The end of a pause is kept by the wall clock, the only one that the next process has as well.
    fn of(pause: &Pause, writer: Uuid) -> Self {
        let left = |until: Instant| millis(until.saturating_duration_since(Instant::now()));
        let length_ms = pause.until.map(left);
        let until_ms = length_ms.map(|length| now_ms().saturating_add(length));
        Self { note: pause.note.clone(), until_ms, length_ms, writer }
    }

    /// What is left of it; none if its time is over.
    fn left(self) -> Option<Pause> {
        let until = match self.until_ms {
            None => None,
            Some(until_ms) => {
                let left = until_ms.saturating_sub(now_ms()).min(self.length_ms.unwrap_or(u64::MAX));
                let left = Duration::from_millis(left).min(LONGEST);
                Some(Instant::now() + Some(left).filter(|left| !left.is_zero())?)
            }
        };
        Some(Pause { note: one_line(self.note, MAX_NOTE), until })
    }
}

/// An operator's pause, and its note. Clones share it.
#[derive(Clone)]
pub(super) struct OperatorPause(Arc<Noted>);

struct Noted {
    file: NoteFile<PausedNote>,
    shutdown: Shutdown,
    writer: Uuid,
    /// What the file says as far as this process knows, if it does; held while it is written.
    known: Mutex<Option<Option<Pause>>>,
}

impl OperatorPause {
    /// Goes on with a pause of the process before this one.
    pub(super) async fn recall(file: NoteFile<PausedNote>, shutdown: Shutdown) -> Self {
        let (noted, writer) = (file.read().await, Uuid::new_v4());
        let left = noted.clone().and_then(PausedNote::left);
        match (&noted, &left) {
            (_, Some(pause)) => {
                let left_ms =
                    pause.until.map(|until| millis(until.saturating_duration_since(Instant::now())));
                tracing::warn!(
                    note = pause.note,
                    left_ms,
                    "paused before this start: no leases until `posemesh-node resume`, or until the time of the pause"
                );
                shutdown.pause(pause.clone());
                // It is this process's from now on: one that ends beside it must not take it away.
                if let Err(error) = file.write(PausedNote::of(pause, writer)).await {
                    warn_of_unwritten(&error);
                }
            }
            (Some(_), None) => {
                tracing::info!("a pause from before this start is over: its time has passed");
                let _ = file.remove(|_| true).await;
            }
            (None, None) => {}
        }
        Self(Arc::new(Noted { file, shutdown, writer, known: Mutex::new(Some(left)) }))
    }

    /// What is paused.
    pub(super) fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// Notes the pause as it is now; whether the next process will know of it.
    pub(super) async fn remember(&self) -> bool {
        let Noted { file, shutdown, writer, known } = &*self.0;
        let (mut known, writer) = (known.lock().await, *writer);
        let now = shutdown.paused();
        // Only what this process knows to have changed: another with this identity may have noted a pause of its own.
        if known.as_ref() == Some(&now) {
            return true;
        }
        // Whoever gives up waiting does not know what is written in the end.
        *known = None;
        let written = match &now {
            Some(pause) => file.write(PausedNote::of(pause, writer)).await,
            None => file.remove(move |noted| noted.writer == writer).await,
        };
        match written {
            Ok(()) => {
                *known = Some(now);
                true
            }
            Err(error) => {
                warn_of_unwritten(&error);
                false
            }
        }
    }

    /// Keeps the note in step with what signals and time do, and have done since the start, until `stop`.
    pub(super) async fn follow(&self, stop: CancellationToken) {
        let mut pause = self.0.shutdown.watch_pause();
        self.remember().await;
        while stop.run_until_cancelled(pause.changed()).await.is_some_and(|changed| changed.is_ok()) {
            self.remember().await;
        }
        self.remember().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::shutdown::AfterDrain;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_pause_goes_on_in_the_next_process_until_it_is_undone_or_its_time_has_passed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paused.json");
        let file = || NoteFile::new(path.clone());
        let start = async || {
            let shutdown = Shutdown::new();
            (OperatorPause::recall(file(), shutdown.clone()).await, shutdown)
        };
        let (kept, shutdown) = start().await;
        assert_eq!(shutdown.paused(), None);
        shutdown.pause(Pause { note: "new disk".to_owned(), until: Some(Instant::now() + 30 * MINUTE) });
        assert!(kept.remember().await);

        let (_, next) = start().await;
        let pause = next.paused().unwrap();
        let left = pause.until.unwrap().saturating_duration_since(Instant::now());
        assert!(pause.note == "new disk" && left > 29 * MINUTE && left <= 30 * MINUTE, "{pause:?}");
        let (kept, next) = start().await;
        next.resume();
        assert!(kept.remember().await && !path.exists());
        assert_eq!(start().await.1.paused(), None);

        // One whose time has passed while no node ran, and one whose clock was set.
        let length_ms = Some(60_000);
        let noted = |until_ms| PausedNote { note: String::new(), until_ms, length_ms, writer: Uuid::nil() };
        file().write(noted(Some(now_ms() - 1))).await.unwrap();
        assert_eq!(start().await.1.paused(), None);
        assert!(!path.exists(), "what is over is forgotten");
        file().write(noted(Some(u64::MAX))).await.unwrap();
        let until = start().await.1.paused().unwrap().until.unwrap();
        assert!(until <= Instant::now() + MINUTE, "no longer than it was to be");
        file().write(noted(None)).await.unwrap();
        assert_eq!(start().await.1.paused(), Some(Pause { note: String::new(), until: None }));
    }

    #[tokio::test]
    async fn what_another_process_has_noted_is_left_and_what_a_signal_ends_before_the_work_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paused.json");
        let start = async || {
            let shutdown = Shutdown::new();
            (OperatorPause::recall(NoteFile::new(path.clone()), shutdown.clone()).await, shutdown)
        };
        let (old, of_old) = start().await;
        of_old.pause(Pause { note: "new disk".to_owned(), until: None });
        assert!(old.remember().await);
        // It takes over, and goes on with the pause.
        let (new, of_new) = start().await;
        assert!(of_new.paused().is_some());
        of_old.drain(AfterDrain::Stop);
        assert!(old.remember().await && path.exists());
        // Before it has begun to follow, as while runners are loaded; then it is stopped.
        of_new.resume();
        let stop = CancellationToken::new();
        stop.cancel();
        new.follow(stop).await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_can_not_be_noted_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = NoteFile::new(folder.path().join("gone").join("paused.json"));
        let shutdown = Shutdown::new();
        let kept = OperatorPause::recall(file, shutdown.clone()).await;
        shutdown.pause(Pause { note: String::new(), until: None });
        assert!(!kept.remember().await);
    }
}
