//! What a node was started with: it stays the same until it ends.

use std::path::PathBuf;

use posemesh_text::one_line;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

/// The longest name of a machine that is shown, in bytes.
const MAX_HOST: usize = 255;

/// What a node was started with.
#[derive(Debug)]
pub(crate) struct About {
    /// The wallet's address, or that it is a robot.
    pub(crate) who: String,
    /// The machine's name.
    pub(crate) host: String,
    /// When it was started, by both clocks.
    pub(crate) started_at: OffsetDateTime,
    pub(crate) started: Instant,
    /// Its servers.
    pub(crate) dds: Link,
    pub(crate) dms: Link,
    pub(crate) work_dir: PathBuf,
    pub(crate) cache_dir: PathBuf,
}

/// A server, and the way to it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Link {
    pub(crate) url: String,
    /// Host and port, and the proxy in between, without its credentials.
    pub(crate) through: String,
}

/// The machine's name.
pub(crate) fn host_name() -> String {
    // A file of the kernel's: it does not block.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    one_line(name.trim(), MAX_HOST)
}
