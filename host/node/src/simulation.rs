//! A deterministic simulation of whole nodes, against one simulated job server, with every fault that a seed draws
//! (docs/simulation.md).
//!
//! The control plane runs as it is: worker, leases, heartbeats, reports, registration, token. It sees servers,
//! runners and storage as traits, and time is tokio's paused clock, so a seed takes milliseconds and does the same
//! each time. [`plan`] is what a seed decides beforehand; [`network`] is what happens to each call; [`dms`] and
//! [`dds`] are the servers; [`witness`] and [`verdict`] are what is judged; [`planted`] shows that the judges see.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation that is wrong should stop"
)]

mod call_kind;
mod client;
mod dds;
mod discovery;
mod dms;
mod draw;
mod fleet;
mod incarnation;
mod invariant;
mod journal;
mod ledger;
mod machine;
mod network;
mod node;
mod one_by_one;
mod plan;
mod planted;
mod run;
mod runners;
mod seed;
mod seeds;
mod tally;
mod trace;
mod trouble;
mod verdict;
mod witness;
mod world;

pub use fleet::{FleetReport, run_fleet, run_steady};
pub use invariant::{Invariant, Violation};
pub use planted::Planted;
pub use seed::{SeedReport, run_seed, run_seed_twice};
pub use seeds::{SeedsReport, run_seeds};
pub use tally::CallsOfSecond;

#[cfg(test)]
mod tests;
