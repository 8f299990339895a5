//! Machine code: what it is, how it is mapped into a process, and what it is linked to. A node loads it, and a sandbox
//! process runs it; both need this.

pub(crate) mod compiled;
pub(crate) mod engine;
pub(crate) mod footprint;
pub(crate) mod link;
mod mismatch;
pub(crate) mod names;
pub(crate) mod places;
pub(crate) mod world;
