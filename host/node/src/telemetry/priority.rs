//! What systemd's journal has to know of a line beside its text: how important it is. Otherwise `journalctl -p warning` finds
//! nothing. It reads that from a prefix (sd-daemon(3)), which only the journal gets: nobody else takes it away again.

use std::os::fd::AsFd;

use rustix::fs::fstat;
use tracing::Level;

/// Which file the journal reads from, as systemd tells a service: `DEVICE:INODE`.
const STREAM: &str = "JOURNAL_STREAM";

/// Whether a line that is written there goes to the journal.
pub(super) fn is_wanted_by(out: impl AsFd) -> bool {
    let (Ok(stream), Ok(stat)) = (std::env::var(STREAM), fstat(out)) else { return false };
    // A program that has redirected its output inherits the variable all the same.
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// What comes before a line.
pub(super) fn prefix(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        _ => b"<7>",
    }
}
