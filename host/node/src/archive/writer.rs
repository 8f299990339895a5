//! The way of an entry into the database: through a bounded queue to a thread, which writes what has come meanwhile at once.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use posemesh_text::one_line;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use super::database::{BUSY, Database, DatabaseError, make_folder};
use super::entry::{Entry, GenerationEntry};
use super::lock::{Locked, note_end};
use super::runs::Process;
use super::settings::{ArchiveSettings, database_in};
use super::view::HistoryView;

/// How many entries wait at most: in the queue, and as many again while the database can't be written to.
const QUEUED: usize = 4096;
/// How many are written at once: so many that they find room in the smallest database.
const BATCH: usize = 128;
/// How long nothing is tried after a failure.
const CALM: Duration = Duration::from_secs(10);
/// How often old entries are looked for, while there are new ones.
const CLEANED: Duration = Duration::from_secs(600);
/// How long the end of the node waits for entries that are not written yet.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How many databases that could not be read lie there at most before somebody has to look at them.
const MAX_ASIDE: usize = 8;
/// What lies beside a database, of this program or of another that used it.
const LOGS: [&str; 3] = ["-journal", "-wal", "-shm"];
/// How much of a path or an error is logged, in bytes.
const SHOWN_BYTES: usize = 400;

/// What the thread is sent.
enum Message {
    Entry(Entry),
    /// To be answered when all before it was tried.
    Flush(oneshot::Sender<()>),
}

/// Takes entries and never fails.
pub(super) struct Writer {
    messages: SyncSender<Message>,
    /// Entries that found the queue full.
    full: AtomicU64,
    /// Where the history is, and by what this process is known there.
    folder: PathBuf,
    token: String,
    shown: Arc<Mutex<HistoryView>>,
}

impl Writer {
    /// Starts the thread. It ends with this, after what waits.
    ///
    /// # Errors
    /// When it can't be started.
    pub(super) fn start(settings: ArchiveSettings, node: String) -> io::Result<Self> {
        let (sender, messages) = sync_channel(QUEUED);
        let folder = settings.folder.clone().unwrap_or_default();
        let path = database_in(&folder);
        let view = HistoryView { path: Some(shown(path.display())), ..HistoryView::default() };
        let shown = Arc::new(Mutex::new(view));
        let token = Uuid::new_v4().simple().to_string();
        let place = Place {
            folder: folder.clone(),
            settings,
            process: Process { node, token: token.clone(), started: OffsetDateTime::now_utc() },
            shown: shown.clone(),
            open: None,
            waiting: VecDeque::new(),
            failing: None,
            cleaned: None,
            ended: false,
        };
        thread::Builder::new().name("history".to_owned()).spawn(move || write(&messages, place))?;
        Ok(Self { messages: sender, full: AtomicU64::new(0), folder, token, shown })
    }

    /// Whether there was room for it.
    pub(super) fn put(&self, entry: Entry) -> bool {
        let is_put = self.messages.try_send(Message::Entry(entry)).is_ok();
        if !is_put {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
        is_put
    }

    pub(super) fn view(&self) -> HistoryView {
        let mut view = lock(&self.shown).clone();
        view.lost = view.lost.saturating_add(self.full.load(Ordering::Relaxed));
        view
    }

    /// Waits until everything before this was tried, for a moment at most. Whether it was.
    pub(super) async fn flush(&self) -> bool {
        let (done, tried) = oneshot::channel();
        self.messages.try_send(Message::Flush(done)).is_ok()
            && matches!(timeout(FLUSH_TIMEOUT, tried).await, Ok(Ok(())))
    }

    /// Writes that the node ends, and all before that. What is not written by then is not taken for the work of a SIGKILL.
    pub(super) async fn end(&self) {
        if self.put(Entry::NodeEnded) && self.flush().await && self.view().waiting == 0 {
            return;
        }
        let (folder, token) = (self.folder.clone(), self.token.clone());
        let noted = spawn_blocking(move || note_end(&folder, &token));
        let _ = timeout(FLUSH_TIMEOUT, noted).await;
    }
}

/// Writes until nobody can send any more.
fn write(messages: &Receiver<Message>, mut place: Place) {
    // At once: what a dead process left is settled before the first lease, and whoever asks finds a history.
    place.write();
    loop {
        // Nothing wakes it while there is nothing to write.
        let mut next = match place.next_try() {
            Some(after) => match messages.recv_timeout(after) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            },
            None => match messages.recv() {
                Ok(message) => Some(message),
                Err(_) => return,
            },
        };
        let mut asked = None;
        let mut taken = 0;
        while let Some(message) = next.take() {
            match message {
                Message::Entry(entry) => place.take(entry),
                Message::Flush(done) => asked = Some(done),
            }
            taken += 1;
            if asked.is_none() && taken < BATCH {
                next = messages.try_recv().ok();
            }
        }
        if asked.is_some() || place.next_try().is_none_or(|after| after.is_zero()) {
            place.write();
        }
        if let Some(done) = asked {
            let _ = done.send(());
        }
    }
}

/// The database, as far as it can be written to.
struct Place {
    folder: PathBuf,
    settings: ArchiveSettings,
    process: Process,
    shown: Arc<Mutex<HistoryView>>,
    open: Option<Database>,
    /// What is not written yet.
    waiting: VecDeque<Entry>,
    /// When it failed last, while it does.
    failing: Option<Instant>,
    /// When old entries were looked for last.
    cleaned: Option<Instant>,
    /// The node has said that it ends.
    ended: bool,
}

impl Place {
    /// After which time it is tried again, while it fails.
    fn next_try(&self) -> Option<Duration> {
        self.failing.map(|at| CALM.saturating_sub(at.elapsed()))
    }

    fn take(&mut self, entry: Entry) {
        self.ended |= matches!(entry, Entry::NodeEnded);
        if self.waiting.len() >= QUEUED {
            self.waiting.pop_front();
            lock(&self.shown).lost += 1;
        }
        self.waiting.push_back(entry);
        lock(&self.shown).waiting = self.waiting.len() as u64;
    }

    /// Tries to write what waits.
    fn write(&mut self) {
        let mut written = self.try_write();
        if let Err(error) = &written
            && error.is_unreadable()
        {
            self.open = None;
            let why = shown(error);
            written = self.renew(&why).and_then(|()| self.try_write());
        }
        let mut view = lock(&self.shown);
        view.waiting = self.waiting.len() as u64;
        match written {
            Ok(()) => {
                view.error = None;
                if self.failing.take().is_some() {
                    tracing::info!(lost = view.lost, "the history is written again");
                }
            }
            Err(error) => {
                let error = shown(error);
                view.error = Some(error.clone());
                // Opened anew next time, whatever its state is.
                self.open = None;
                // Said once: a disk may stay full for hours.
                if self.failing.replace(Instant::now()).is_none() {
                    let path = view.path.clone();
                    tracing::warn!(
                        path,
                        error,
                        "the history can't be written; the node goes on, and what finds no room meanwhile is lost"
                    );
                }
            }
        }
    }

    fn try_write(&mut self) -> Result<(), DatabaseError> {
        // Somebody has taken the file away, or another process has moved it aside.
        self.open.take_if(|open| !open.is_in_place());
        if let Some(cut) = self.open.as_mut().and_then(Database::cut_to) {
            self.open = None;
            self.tell_cut(cut);
        }
        if self.open.is_none() {
            self.reopen()?;
        }
        let Some(database) = &mut self.open else { return Ok(()) };
        while !self.waiting.is_empty() {
            let batch = self.waiting.len().min(BATCH);
            database.write(self.waiting.iter().take(batch))?;
            self.waiting.drain(..batch);
        }
        // A bound that was made much smaller leaves more than one start can give back.
        database.give_back_some()?;
        if self.cleaned.is_none_or(|at| at.elapsed() >= CLEANED) {
            database.drop_old()?;
            self.cleaned = Some(Instant::now());
        }
        if self.ended {
            // Closed, so that nothing is left beside the file. The process may end before this thread does.
            self.open = None;
        }
        Ok(())
    }

    /// Somebody has cut the file of the open database. What is left of it is looked at when it is opened again, and moved aside if
    /// it can't be read.
    fn tell_cut(&mut self, bytes: u64) {
        let path = shown(database_in(&self.folder).display());
        let told = format!(
            "the history in {path} was cut to {bytes} bytes while it was open: what it held before may be lost"
        );
        tracing::warn!("{told}");
        lock(&self.shown).moved_aside = Some(told.clone());
        self.waiting.push_front(Entry::Generation(Box::new(GenerationEntry::of_node("history_cut", told))));
    }

    fn reopen(&mut self) -> Result<(), DatabaseError> {
        let folder = make_folder(&self.folder)?;
        let _opening = Locked::opening(&folder, BUSY)?;
        let path = database_in(&folder);
        let opened = Database::open(&path, &self.settings, &self.process)?;
        let others = &opened.shared_with;
        if !others.is_empty() && lock(&self.shown).shared_with != *others {
            tracing::warn!(
                path = shown(path.display()),
                others = one_line(others.join(", "), SHOWN_BYTES),
                "other nodes write to this history as well (DATA_DIR); each entry says whose it is"
            );
        }
        lock(&self.shown).shared_with = others.clone();
        self.open = Some(opened);
        Ok(())
    }

    /// Moves what can't be read aside, so that there is a history from now on.
    fn renew(&mut self, why: &str) -> Result<(), DatabaseError> {
        let folder = make_folder(&self.folder)?;
        let _opening = Locked::opening(&folder, BUSY)?;
        let path = database_in(&folder);
        // Another process may have done so meanwhile.
        if let Ok(opened) = Database::open(&path, &self.settings, &self.process) {
            self.open = Some(opened);
            return Ok(());
        }
        let aside = shown(move_aside(&path)?.display());
        let path = shown(path.display());
        let told = format!(
            "the history in {path} could not be read ({why}): it was moved to {aside}, and a new one was begun"
        );
        tracing::warn!("{told}");
        lock(&self.shown).moved_aside = Some(told.clone());
        self.waiting.push_front(Entry::Generation(Box::new(GenerationEntry::of_node("history_begun", told))));
        Ok(())
    }
}

/// Moves a database aside, with its log of changes, in place of nothing. Returns where it is.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let named = |base: &Path, ending: &str| {
        let mut name = base.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let free = (0..MAX_ASIDE).map(|number| named(path, &format!(".unreadable-{now}-{number}")));
    let there = path.parent().map(std::fs::read_dir).transpose()?.into_iter().flatten().flatten();
    let prefix = named(path, ".unreadable-");
    let prefix = prefix.file_name().unwrap_or_default().as_encoded_bytes().to_owned();
    let is_aside = |name: &std::ffi::OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(&prefix) && !LOGS.iter().any(|log| name.ends_with(log.as_bytes()))
    };
    if there.filter(|entry| is_aside(&entry.file_name())).count() >= MAX_ASIDE {
        return Err(io::Error::other(format!(
            "it can't be read, and {MAX_ASIDE} that could not be read lie beside it already: keep them elsewhere or remove them"
        )));
    }
    let Some(aside) = free.into_iter().find(|aside| !aside.exists()) else {
        return Err(io::Error::other("it can't be read, and there is no free name to move it to"));
    };
    std::fs::rename(path, &aside)?;
    for ending in LOGS {
        // They belong to it; a new database must not find them.
        match std::fs::rename(named(path, ending), named(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn shown(value: impl std::fmt::Display) -> String {
    one_line(value, SHOWN_BYTES)
}

fn lock(view: &Mutex<HistoryView>) -> MutexGuard<'_, HistoryView> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}
