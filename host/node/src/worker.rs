//! The worker: takes leases as long as there is a free slot (`MAX_CONCURRENCY`), has each worked on in a
//! task of its own, and shuts down gracefully.
//!
//! It never asks for work that it could not start: a free slot, a live runner and a registered node come
//! first. One loop does all of it; nothing that a lease does can hold it up.

mod active;
mod lease_loop;
mod pacing;
mod pause;
mod polls;
mod settings;
mod stop;
mod withdrawal;

pub(crate) use lease_loop::{Worker, WorkerParts};
#[cfg_attr(not(feature = "plugins"), allow(unused_imports))]
pub(crate) use pause::PauseNote;
pub(crate) use settings::WorkerSettings;

#[cfg(test)]
mod tests;
