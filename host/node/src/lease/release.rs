//! The order to give all leases back (protocol 5.3), and how the time that is left is shared out.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The shortest wait between two attempts once the order is given.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// The order of a node that stops: runners are stopped, and what is not finished is failed with `node_shutdown`, all
/// of it before the end that the order names. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReleaseOrder {
    given: CancellationToken,
    end: Arc<OnceLock<Instant>>,
}

impl ReleaseOrder {
    /// Gives the order; everything must have ended by `end`. Only the first time counts.
    pub(crate) fn give(&self, end: Instant) {
        let _ = self.end.set(end);
        self.given.cancel();
    }

    pub(crate) fn is_given(&self) -> bool {
        self.given.is_cancelled()
    }

    /// Waits for the order.
    pub(crate) async fn given(&self) {
        self.given.cancelled().await;
    }

    /// The time that one step may take, of a lease that has more of them to come: half of what is left once the order
    /// is given, and never more than `most`.
    pub(super) fn share(&self, most: Duration) -> Duration {
        match self.end.get() {
            None => most,
            Some(end) => most.min(end.saturating_duration_since(Instant::now()) / 2),
        }
    }

    /// Waits for the order, and then until one step has had its share of the time.
    pub(super) async fn share_is_over(&self) {
        self.given().await;
        sleep_until(Instant::now() + self.share(Duration::MAX)).await;
    }

    /// Waits for the order, and then as long as a step that is to be tried again may wait: a quarter of what is left, and
    /// a fifth of a second at least.
    pub(super) async fn short_wait_is_over(&self) {
        self.given().await;
        sleep_until(Instant::now() + (self.share(Duration::MAX) / 2).max(SHORTEST_WAIT)).await;
    }

    /// Waits for the order, and then for its end: the last step may take all that is left.
    pub(super) async fn is_over(&self) {
        self.given().await;
        sleep_until(self.end.get().copied().unwrap_or_else(Instant::now)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_step_gets_half_of_what_is_left_and_the_last_one_all() {
        let order = ReleaseOrder::default();
        assert_eq!(order.share(20 * SECOND), 20 * SECOND, "without the order there is no hurry");
        let began = Instant::now();
        order.give(began + 8 * SECOND);
        order.give(began + 800 * SECOND);
        assert_eq!(order.share(20 * SECOND), 4 * SECOND);
        assert_eq!(order.share(SECOND), SECOND);
        order.share_is_over().await;
        assert_eq!(began.elapsed(), 4 * SECOND);
        order.is_over().await;
        assert_eq!(began.elapsed(), 8 * SECOND);
    }
}
