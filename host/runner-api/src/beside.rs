//! Work that would hold up a thread of the runtime, of which there may be one: what computes for a moment, or waits for a disk.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

/// Threads that may compute beside the runtime's, for each processor: those that can start none have to do without.
const FOR_EACH_PROCESSOR: usize = 2;

/// How many compute now.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// Work that was begun. What was begun is done, whether or not anybody waits for it.
#[derive(Debug)]
pub enum Begun<T> {
    /// Every thread was busy: it was done at once, by whoever began it. None after it was handed out.
    Here(Option<T>),
    /// Another thread works on it.
    There(JoinHandle<T>),
}

/// Begins work that takes a few milliseconds at most: on a thread of its own if one is free.
pub fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
    match Place::take() {
        Some(place) => Begun::There(spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        })),
        None => Begun::Here(Some(work())),
    }
}

impl<T> Begun<T> {
    /// Waits for what comes of it; to give up the wait changes nothing. None when the runtime ends before, or if it was handed
    /// out already.
    pub async fn done(&mut self) -> Option<T> {
        match self {
            Self::Here(done) => done.take(),
            Self::There(working) => match working.await {
                Ok(done) => Some(done),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_) => None,
                },
            },
        }
    }
}

/// Does here what may wait for a disk, while another thread goes on with the other tasks of the runtime.
pub fn waiting<T>(work: impl FnOnce() -> T) -> T {
    let has_others = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
    match Handle::try_current().is_ok_and(has_others) {
        true => block_in_place(work),
        false => work(),
    }
}

/// One of the threads that may compute.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        static MOST: OnceLock<usize> = OnceLock::new();
        let most = *MOST.get_or_init(|| available_parallelism().map_or(1, NonZero::get) * FOR_EACH_PROCESSOR);
        let more = |busy: usize| (busy < most).then_some(busy + 1);
        BUSY.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn work_is_done_by_others_while_there_are_some_and_here_otherwise() {
        let most = thread::available_parallelism().unwrap().get() * FOR_EACH_PROCESSOR;
        let here = thread::current().id();
        let (go_on, waits): (Vec<_>, Vec<_>) = (0..most).map(|_| mpsc::channel::<()>()).unzip();
        let mut all: Vec<_> = waits
            .into_iter()
            .map(|waits| {
                begin(move || {
                    let _ = waits.recv();
                    thread::current().id()
                })
            })
            .collect();
        let mut one_more = begin(|| thread::current().id());
        assert_eq!(one_more.done().await, Some(here), "all others are busy");
        assert_eq!(one_more.done().await, None);
        drop(go_on);
        for work in &mut all {
            assert_ne!(work.done().await, Some(here));
        }
    }

    #[test]
    fn other_tasks_go_on_while_one_waits() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (say, said) = mpsc::channel();
        let waits = runtime.spawn(async move { waiting(|| said.recv()) });
        runtime.spawn(async move { say.send("on the same thread of the runtime").unwrap() });
        assert!(runtime.block_on(waits).unwrap().is_ok());
        assert_eq!(waiting(|| 1), 1, "nor does it need a runtime");
    }
}
