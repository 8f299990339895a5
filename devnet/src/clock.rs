//! The servers' clock: real time plus an offset that tests set, for nodes whose clock is off.
//!
//! Deadlines are kept as [`Instant`]s and only told as dates, so an offset never ends a lease.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[derive(Debug)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn new(offset_ms: i64) -> Self {
        Self { offset_ms: AtomicI64::new(offset_ms) }
    }

    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + time::Duration::milliseconds(self.offset_ms.load(Ordering::Relaxed))
    }

    /// The date of a moment by this clock.
    pub(crate) fn date_of(&self, moment: Instant) -> OffsetDateTime {
        let now = Instant::now();
        let ahead = moment.saturating_duration_since(now).as_secs_f64();
        let behind = now.saturating_duration_since(moment).as_secs_f64();
        self.now() + time::Duration::seconds_f64(ahead - behind)
    }

    /// The date of a moment as it goes on the wire.
    pub(crate) fn stamp_of(&self, moment: Instant) -> String {
        rfc3339(self.date_of(moment))
    }

    /// Now as it goes on the wire.
    pub(crate) fn stamp(&self) -> String {
        rfc3339(self.now())
    }

    /// Now as the `Date` header has it.
    pub(crate) fn http_date(&self) -> String {
        self.now().format(HTTP_DATE).unwrap_or_default()
    }
}

/// RFC 3339 with milliseconds. Only years that have no four digits can't be told, and give nothing.
pub(crate) fn rfc3339(date: OffsetDateTime) -> String {
    let date = date.replace_millisecond(date.millisecond()).unwrap_or(date);
    date.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn dates_have_milliseconds_and_the_offset_shifts_them() {
        assert_eq!(rfc3339(datetime!(2026-01-02 03:04:05.678_912 UTC)), "2026-01-02T03:04:05.678Z");
        let clock = Clock::new(3_600_000);
        let ahead = clock.now() - OffsetDateTime::now_utc();
        assert!((ahead.whole_seconds() - 3600).abs() <= 1, "{ahead}");
        assert!(clock.http_date().ends_with(" GMT"));
    }
}
