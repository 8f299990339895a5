//! The machine's wall clock, which only serves to interpret a server's timestamps, and what was noted by another process.

use time::OffsetDateTime;

/// The time of day in UTC.
pub(crate) fn now() -> OffsetDateTime {
    #[cfg(any(test, feature = "simulation"))]
    if let Some(simulated) = simulated::now() {
        return simulated;
    }
    OffsetDateTime::now_utc()
}

/// The time of day in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// The wall clock of a simulation, one for each thread: it goes with tokio's virtual time.
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod simulated {
    use std::cell::Cell;

    use time::OffsetDateTime;
    use tokio::time::Instant;

    thread_local! {
        /// What the clock shows at a moment of virtual time.
        static CLOCK: Cell<Option<(Instant, OffsetDateTime)>> = const { Cell::new(None) };
    }

    /// Makes the wall clock of this thread show `time` now.
    pub(crate) fn set(time: OffsetDateTime) {
        CLOCK.set(Some((Instant::now(), time)));
    }

    /// Gives this thread the machine's wall clock back.
    pub(crate) fn unset() {
        CLOCK.set(None);
    }

    pub(super) fn now() -> Option<OffsetDateTime> {
        CLOCK.get().map(|(at, time)| time + at.elapsed())
    }
}
