//! Wall-clock time, behind a trait so that tests can choose it. Whatever waits or measures uses tokio's
//! monotonic clock instead; the wall clock serves only to interpret a server's timestamps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::DATE;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Tells the time of day.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now, in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// A clock that several subsystems share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// The time in a server's `Date` header; none if it is absent or not a date. A lifetime that is computed from it
/// holds even if the node's own clock is wrong.
pub fn server_date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(headers.get(DATE)?.to_str().ok()?, &Rfc2822).ok()
}

/// By how many seconds the clocks of a server and of this machine may differ before that is told to operators: tokens are
/// refused when it is a minute, and a server's date is true to a second.
pub const TOLERATED_SKEW_SECS: f64 = 10.0;

/// By how much the clock of whoever answered is ahead of this machine's, if it told its time; `took` is the time from the
/// request to the answer.
pub fn skew(headers: &HeaderMap, took: Duration) -> Option<time::Duration> {
    // The server wrote the start of a second, at some moment between the request and its answer.
    let date = server_date(headers)?;
    Some(date - OffsetDateTime::now_utc() + time::Duration::milliseconds(500) + took / 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_date_header_is_read_and_nonsense_is_no_date() {
        let mut headers = HeaderMap::new();
        assert_eq!(server_date(&headers), None);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(server_date(&headers), Some(datetime!(1994-11-06 08:49:37 UTC)));
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(server_date(&headers), None);
    }
}
