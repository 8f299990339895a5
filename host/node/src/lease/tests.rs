//! What becomes of a lease, in every way that one can go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod delivery;
mod life;
mod refusals;
mod rhythm;
mod setup;
mod spacing;
