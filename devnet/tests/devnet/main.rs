//! The devnet as an independent client sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod client;
mod dds;
mod dms;
mod faults;
mod sessions;
mod storage;

use std::time::Duration;

/// Timeout for everything that a test waits for: longer than any of it should take.
const SOON: Duration = Duration::from_secs(20);
