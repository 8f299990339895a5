//! What holds for what strangers put into `PLUGINS_DIR`, whatever it is. Each module has a function `holds` that takes
//! any bytes and panics where something does not.
//!
//! Two things call it: the fuzz targets beside this file, and `host/plugin-host/tests/strangers.rs` with every seed and
//! with a few hundred damaged ones. The latter includes this file by its path, so that `cargo test` needs neither
//! cargo-fuzz nor this workspace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// What the fuzz targets call is public here, and is not where the tests include this file as a module.
#![allow(unreachable_pub)]

pub mod component;
pub mod frames;
pub mod policy;

mod ports;
mod shown;
