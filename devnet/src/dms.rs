//! The job server: jobs of tasks, leased to machines one by one (protocol 3).
//!
//! `queue` is its state, made of `entries`; `records` is what tests see of it and `wire` what clients see.
//! The other files are its endpoints: `lease` and `tasks` for machines, `jobs` for applications.

pub(crate) mod entries;
pub(crate) mod jobs;
pub(crate) mod lease;
pub(crate) mod queue;
pub(crate) mod records;
pub(crate) mod submit;
pub(crate) mod tasks;
pub(crate) mod wire;
