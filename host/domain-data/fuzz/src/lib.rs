//! What holds for the parsers of domain data, whatever they are given. Each module has a function `holds`
//! that takes any bytes and panics where something does not.
//!
//! Three things call it: the fuzz targets beside this file, `host/domain-data/tests/seeds.rs` with every seed,
//! and `host/domain-data/tests/generated.rs` with what proptest makes up. The latter two include this file by
//! its path, so that `cargo test` needs neither cargo-fuzz nor this workspace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// What the fuzz targets call is public here, and is not where the tests include this file as a module.
#![allow(unreachable_pub)]

pub mod cid;
pub mod disposition;
pub mod multipart;
