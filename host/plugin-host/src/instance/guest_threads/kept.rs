//! Threads that have run a guest and wait for the next one: starting a thread costs more than a small task does.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread waits for the next guest.
const KEEP: Duration = Duration::from_secs(10);
/// How many wait at most; further ones end after their guest.
const MOST_KEPT: usize = 64;

/// What a thread is to do.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The threads of guests. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptThreads(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Those that wait; the one that has waited shortest comes last, and is taken first.
    waiting: Vec<Waiting>,
    next: u64,
    /// Nobody will have a job any more.
    over: bool,
}

struct Waiting {
    number: u64,
    jobs: SyncSender<Job>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("number", &self.number).finish_non_exhaustive()
    }
}

impl KeptThreads {
    /// Does a job on a thread that waits, or on a new one.
    ///
    /// # Errors
    /// When there is no thread left.
    pub(super) fn run(&self, mut job: Job) -> io::Result<()> {
        loop {
            // Not in the condition, which would keep the lock while the job is handed over.
            let waiting = self.lock().waiting.pop();
            let Some(thread) = waiting else { break };
            match thread.jobs.send(job) {
                Ok(()) => return Ok(()),
                // It could not be kept.
                Err(back) => job = back.0,
            }
        }
        let threads = self.clone();
        std::thread::Builder::new().name("runner".to_owned()).spawn(move || threads.work(job)).map(drop)
    }

    /// Ends the threads that wait, and those that still run once they have done their job.
    pub(super) fn end(&self) {
        let mut kept = self.lock();
        kept.over = true;
        kept.waiting.clear();
    }

    /// The life of a thread.
    fn work(&self, mut job: Job) {
        loop {
            job();
            let Some((number, jobs)) = self.wait() else { return };
            job = match jobs.recv_timeout(KEEP) {
                Ok(next) => next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.lock().waiting.retain(|waiting| waiting.number != number);
                    // Whoever took this thread before it was off the list has handed its job over, or is about to.
                    match jobs.recv() {
                        Ok(next) => next,
                        Err(_) => return,
                    }
                }
            };
        }
    }

    /// Puts the calling thread on the list; None if it is not needed.
    fn wait(&self) -> Option<(u64, Receiver<Job>)> {
        let mut kept = self.lock();
        if kept.over || kept.waiting.len() >= MOST_KEPT {
            return None;
        }
        let (sender, jobs) = sync_channel(1);
        let number = kept.next;
        kept.next += 1;
        kept.waiting.push(Waiting { number, jobs: sender });
        Some((number, jobs))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::{ThreadId, current};

    use super::*;

    fn id_of_next(threads: &KeptThreads) -> ThreadId {
        let (sender, ids) = channel();
        threads.run(Box::new(move || sender.send(current().id()).unwrap())).unwrap();
        ids.recv().unwrap()
    }

    fn until_waiting(threads: &KeptThreads, wanted: usize) {
        while threads.lock().waiting.len() != wanted {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_is_kept_for_the_next_job_and_ends_with_the_pool() {
        let threads = KeptThreads::default();
        let first = id_of_next(&threads);
        until_waiting(&threads, 1);
        assert_eq!(id_of_next(&threads), first);
        until_waiting(&threads, 1);
        let (hold, held) = channel::<()>();
        threads.run(Box::new(move || _ = held.recv())).unwrap();
        assert_ne!(id_of_next(&threads), first, "that one is busy");
        drop(hold);
        until_waiting(&threads, 2);
        threads.end();
        assert_eq!(threads.lock().waiting.len(), 0);
        assert_ne!(id_of_next(&threads), first, "a job after the end has a thread of its own");
    }

    #[test]
    fn a_job_that_panics_takes_its_thread_alone() {
        let threads = KeptThreads::default();
        let (sender, gone) = channel::<()>();
        threads
            .run(Box::new(move || {
                let _sender = sender;
                panic!("on purpose");
            }))
            .unwrap();
        assert!(gone.recv().is_err());
        id_of_next(&threads);
    }
}
