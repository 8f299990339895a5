//! How many go at once, without one that is slow holding up those that are not.
//!
//! Work begins in one of a few normal lanes. If it has not ended after a while it moves to a slow lane, of which there are
//! more, and frees the normal one.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Normal and slow lanes.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    normal: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    /// How long work may take until it is slow.
    slow_after: Duration,
}

/// A normal lane that is taken. None if there are no lanes any more, which does not happen.
pub(crate) type Lane = Option<OwnedSemaphorePermit>;

impl Lanes {
    /// All of them are free.
    pub(crate) fn new(normal: usize, slow: usize, slow_after: Duration) -> Self {
        Self {
            normal: Arc::new(Semaphore::new(normal.max(1))),
            slow: Arc::new(Semaphore::new(slow)),
            slow_after,
        }
    }

    /// Waits until a normal lane is free; first come, first served.
    pub(crate) async fn enter(&self) -> Lane {
        // It is never closed, so there is always one in the end.
        self.normal.clone().acquire_owned().await.ok()
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
        let mut lane = lane;
        let mut moved = false;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(self.slow_after), if !moved => {
                    if has_room() && let Ok(slow) = self.slow.clone().try_acquire_owned() {
                        moved = true;
                        // Dropping the normal one lets the next in.
                        lane = Some(slow);
                    }
                }
            }
            // The lane is held until the work has ended, however it ends.
            let _ = &lane;
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
        let lane = lanes.enter().await;
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
                let lane = lanes.enter().await;
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
                let lane = lanes.enter().await;
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
}
