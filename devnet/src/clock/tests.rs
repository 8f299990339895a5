use time::macros::datetime;

use super::*;

#[test]
fn dates_have_milliseconds_and_the_offset_shifts_them() {
    assert_eq!(rfc3339(datetime!(2026-01-02 03:04:05.678_912 UTC)), "2026-01-02T03:04:05.678Z");
    let clock = ServerClock::new(3_600_000);
    let ahead = clock.now() - OffsetDateTime::now_utc();
    assert!((ahead.whole_seconds() - 3600).abs() <= 1, "{ahead}");
    assert!(clock.http_date().ends_with(" GMT"));
}
