//! How many go at once, without one that is slow holding up those that are not.
//!
//! Work begins in one of a few normal lanes, the smallest of what waits first: it is what is done soonest. If it has not ended
//! after a while it moves to a slow lane, of which there are more, and frees the normal one.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Normal and slow lanes.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    normal: Arc<Turns>,
    slow: Arc<Semaphore>,
    /// How long work may take until it is slow.
    slow_after: Duration,
}

/// The normal lanes, and who waits for one.
#[derive(Debug)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Notify,
}

#[derive(Debug)]
struct TurnState {
    free: usize,
    /// By size, and in the order in which they came.
    waiting: BTreeSet<(u64, u64)>,
    came: u64,
}

/// A normal lane that is taken. Dropping it frees the lane.
#[derive(Debug)]
pub(crate) struct Lane {
    turns: Arc<Turns>,
}

/// A place among those that wait. Dropping it gives the place up.
struct Waiting<'a> {
    turns: &'a Turns,
    place: (u64, u64),
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lane, if one is free and this is the next.
    fn take(&self, place: (u64, u64)) -> bool {
        let mut state = self.state();
        let is_next = state.free > 0 && state.waiting.first() == Some(&place);
        if is_next {
            state.free -= 1;
        }
        is_next
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turns.state().waiting.remove(&self.place);
        // Another one is the first of those that wait now.
        self.turns.changed.notify_waiters();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.turns.state().free += 1;
        self.turns.changed.notify_waiters();
    }
}

/// What work holds while it goes on.
enum Held {
    Normal { _lane: Lane },
    Slow { _permit: OwnedSemaphorePermit },
}

impl Lanes {
    /// All of them are free.
    pub(crate) fn new(normal: usize, slow: usize, slow_after: Duration) -> Self {
        Self {
            normal: Arc::new(Turns {
                state: Mutex::new(TurnState { free: normal.max(1), waiting: BTreeSet::new(), came: 0 }),
                changed: Notify::new(),
            }),
            slow: Arc::new(Semaphore::new(slow)),
            slow_after,
        }
    }

    /// Waits until a normal lane is free. The smallest of those that wait is the next, of equal ones the first that came.
    pub(crate) async fn enter(&self, size: u64) -> Lane {
        let turns = &self.normal;
        let place = {
            let mut state = turns.state();
            state.came += 1;
            let place = (size, state.came);
            state.waiting.insert(place);
            place
        };
        let _waiting = Waiting { turns, place };
        loop {
            let mut changed = pin!(turns.changed.notified());
            // Before the look: what changes after it is heard.
            changed.as_mut().enable();
            if turns.take(place) {
                return Lane { turns: turns.clone() };
            }
            changed.await;
        }
    }

    /// Works in a lane that was entered, and leaves it for a slow one after a while, if there is one and `has_room` allows
    /// one more.
    pub(crate) async fn work<T>(
        &self,
        lane: Lane,
        has_room: impl Fn() -> bool,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        let mut held = Held::Normal { _lane: lane };
        let mut moved = false;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(self.slow_after), if !moved => {
                    if has_room() && let Ok(slow) = self.slow.clone().try_acquire_owned() {
                        moved = true;
                        // Dropping the normal one lets the next in.
                        held = Held::Slow { _permit: slow };
                    }
                }
            }
            // The lane is held until the work has ended, however it ends.
            let _ = &held;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, timeout};

    use super::*;

    async fn quick(lanes: &Lanes, has_room: fn() -> bool) -> Duration {
        let began = Instant::now();
        let lane = lanes.enter(0).await;
        lanes.work(lane, has_room, async {}).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_holds_up_the_next_for_a_moment_only() {
        let second = Duration::from_secs(1);
        let lanes = Lanes::new(1, 16, second);
        let mut endless = Vec::new();
        for _ in 0..9 {
            let lanes = lanes.clone();
            endless.push(tokio::spawn(async move {
                let lane = lanes.enter(0).await;
                lanes.work(lane, || true, pending::<()>()).await;
            }));
        }
        tokio::task::yield_now().await;
        assert_eq!(quick(&lanes, || true).await, 9 * second);
        assert_eq!(quick(&lanes, || true).await, Duration::ZERO, "all slow ones have moved");
        endless.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_are_bounded_and_free_again_when_the_work_is_dropped() {
        let lanes = Lanes::new(1, 1, Duration::from_secs(1));
        let work = |lanes: Lanes, has_room: fn() -> bool| {
            tokio::spawn(async move {
                let lane = lanes.enter(0).await;
                lanes.work(lane, has_room, pending::<()>()).await;
            })
        };
        let (first, second) = (work(lanes.clone(), || true), work(lanes.clone(), || true));
        tokio::task::yield_now().await;
        timeout(Duration::from_secs(600), quick(&lanes, || true)).await.unwrap_err();
        first.abort();
        second.abort();
        assert_eq!(quick(&lanes, || true).await, Duration::ZERO);
        let no_room = work(lanes.clone(), || false);
        tokio::task::yield_now().await;
        timeout(Duration::from_secs(600), quick(&lanes, || true)).await.unwrap_err();
        no_room.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn the_smallest_goes_first_and_one_that_gives_up_holds_up_nobody() {
        let lanes = Lanes::new(1, 0, Duration::from_secs(1));
        let first = lanes.enter(9).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for size in [30, 5, 20, 5, 1] {
            let (lanes, order) = (lanes.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let lane = lanes.enter(size).await;
                order.lock().unwrap().push(size);
                lanes.work(lane, || false, sleep(Duration::from_millis(1))).await;
            }));
            tokio::task::yield_now().await;
        }
        let last = waiting.pop().unwrap();
        last.abort();
        assert!(last.await.unwrap_err().is_cancelled());
        drop(first);
        for one in waiting {
            timeout(Duration::from_secs(600), one).await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [5, 5, 20, 30]);
    }
}
