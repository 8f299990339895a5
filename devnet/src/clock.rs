//! The clock of the three servers: real time plus an offset, to test nodes whose own clock is wrong.
//!
//! Deadlines are kept as [`Instant`]s and turned into dates only for the wire, so an offset never expires a
//! lease or a token.

use std::time::Instant;

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[derive(Debug)]
pub(crate) struct ServerClock {
    offset: Duration,
}

impl ServerClock {
    /// A clock that is `offset_ms` milliseconds ahead of real time; negative values put it behind.
    pub(crate) fn new(offset_ms: i64) -> Self {
        Self { offset: Duration::milliseconds(offset_ms) }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.offset
    }

    /// The date that this clock shows at `moment`, which may be past or future.
    pub(crate) fn date_of(&self, moment: Instant) -> OffsetDateTime {
        let now = Instant::now();
        // Differences of `Instant`s are never negative, so one of these two is zero.
        let ahead = moment.saturating_duration_since(now).as_secs_f64();
        let behind = now.saturating_duration_since(moment).as_secs_f64();
        self.now() + Duration::seconds_f64(ahead - behind)
    }

    /// [`Self::date_of`] as text for a JSON body.
    pub(crate) fn timestamp_of(&self, moment: Instant) -> String {
        rfc3339(self.date_of(moment))
    }

    /// Now as text for a JSON body.
    pub(crate) fn timestamp(&self) -> String {
        rfc3339(self.now())
    }

    /// Now as text for the `Date` header.
    pub(crate) fn http_date(&self) -> String {
        self.now().format(HTTP_DATE).unwrap_or_default()
    }
}

/// RFC 3339 in milliseconds. A year that has not four digits can't be written so, and becomes empty text.
fn rfc3339(date: OffsetDateTime) -> String {
    let date = date.replace_millisecond(date.millisecond()).unwrap_or(date);
    date.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
