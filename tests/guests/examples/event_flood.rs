//! Sends events as fast as it can; fails with the number that was dropped.
use guests::control::{ReportError, log_event, progress};
guests::runner!("event_flood", |_| {
    let mut dropped = 0;
    for n in 0..5000 {
        let _ = progress(&format!("{{\"progress\": {}}}", f64::from(n) / 5000.0));
        if let Err(ReportError::Dropped) = log_event(&format!("{{\"n\": {n}}}")) {
            dropped += 1;
        }
    }
    assert!(matches!(progress("{"), Err(ReportError::InvalidJson(_))));
    assert!(matches!(progress(&format!("\"{}\"", "x".repeat(100_000))), Err(ReportError::TooLarge(_))));
    Err(guests::Error::Failed(format!("dropped {dropped}")))
});
