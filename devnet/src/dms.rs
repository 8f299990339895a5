//! The job server: jobs of tasks, leased to machines one by one (protocol 3).
//!
//! `lease` and `tasks` are its endpoints for machines, `jobs` and `submit` those for applications; `wire` is what
//! clients see of the queue in `state`.

pub(crate) mod jobs;
pub(crate) mod lease;
pub(crate) mod submit;
pub(crate) mod tasks;
pub(crate) mod wire;
