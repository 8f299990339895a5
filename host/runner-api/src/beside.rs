//! Work that would hold up a thread of the runtime, of which there may be one: what computes for a moment, or waits for a disk.
//! A few threads of the process do it, one piece after the other.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, available_parallelism};

use tokio::sync::oneshot;

/// Threads for each processor: some of them may wait for a disk.
const FOR_EACH_PROCESSOR: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

static THREADS: Threads =
    Threads { state: Mutex::new(State { jobs: VecDeque::new(), started: 0, idle: 0 }), job: Condvar::new() };

/// The threads, which are started as they are needed and stay.
struct Threads {
    state: Mutex<State>,
    /// There is a job.
    job: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    started: usize,
    /// How many wait for a job.
    idle: usize,
}

/// Work that was begun.
#[derive(Debug)]
pub struct Begun<T>(Way<T>);

#[derive(Debug)]
enum Way<T> {
    /// It is done; none when what came of it was handed out.
    Done(Option<T>),
    UnderWay(oneshot::Receiver<T>),
}

/// Begins work that takes some milliseconds: on another thread, or here and now where none can be started. Whoever begins it
/// sees to it that not much is begun at a time. It is done whether or not anybody waits for it.
pub fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
    let (done, waits) = oneshot::channel();
    let job = move || {
        // A panic is told where it happens; whoever waits learns that nothing will come.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
            let _ = done.send(result);
        }
    };
    if let Some(job) = THREADS.take(Box::new(job)) {
        job();
    }
    Begun(Way::UnderWay(waits))
}

/// How many threads there are at most.
fn most() -> usize {
    // Asked once: the answer is read from files.
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| available_parallelism().map_or(1, NonZero::get) * FOR_EACH_PROCESSOR)
}

impl<T> Begun<T> {
    /// Waits for what comes of it; to give up the wait changes nothing. None when it panicked, or was handed out already.
    pub async fn done(&mut self) -> Option<T> {
        if let Way::UnderWay(waits) = &mut self.0 {
            self.0 = Way::Done(waits.await.ok());
        }
        match &mut self.0 {
            Way::Done(done) => done.take(),
            Way::UnderWay(_) => None,
        }
    }
}

impl Threads {
    /// Takes a job, or gives it back when there is no thread for it.
    fn take(&'static self, job: Job) -> Option<Job> {
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.idle < state.jobs.len() && state.started < most() {
            let thread = Builder::new().name("beside".to_owned()).spawn(|| self.work());
            match thread {
                Ok(_) => state.started += 1,
                Err(_) if state.started == 0 => return state.jobs.pop_back(),
                Err(_) => {}
            }
        }
        drop(state);
        self.job.notify_one();
        None
    }

    /// The life of a thread.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            match state.jobs.pop_front() {
                Some(job) => {
                    drop(state);
                    job();
                    state = self.lock();
                }
                None => {
                    state.idle += 1;
                    state = self.job.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_done_by_a_few_threads_however_much_there_is_and_by_none_of_the_runtimes() {
        let most = most();
        let (say, said) = mpsc::channel();
        let mut all: Vec<_> = (0..10 * most)
            .map(|_| {
                let say = say.clone();
                begin(move || {
                    thread::sleep(Duration::from_millis(1));
                    say.send(thread::current().id()).unwrap();
                })
            })
            .collect();
        // Given up, and done all the same.
        all.pop();
        for work in &mut all {
            assert_eq!(work.done().await, Some(()));
            assert_eq!(work.done().await, None, "handed out");
        }
        drop(say);
        let mut threads: Vec<_> = said.iter().collect();
        assert_eq!(threads.len(), 10 * most);
        threads.sort_unstable_by_key(|id| format!("{id:?}"));
        threads.dedup();
        assert!(threads.len() <= most && !threads.contains(&thread::current().id()), "{threads:?}");
    }

    #[tokio::test]
    async fn a_panic_ends_its_work_alone() {
        assert_eq!(begin(|| panic!("on purpose")).done().await, None::<()>);
        assert_eq!(begin(|| 7).done().await, Some(7));
    }
}
