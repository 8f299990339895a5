//! What a node was started with: it stays the same until it ends.

use std::path::PathBuf;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

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
