//! The fault matrix: a test for each row of the tables in `docs/faults.md`. A task must end exactly once,
//! whatever fails meanwhile.

mod cancel;
mod crash;
mod dds;
mod dms;
mod early;
mod eight;
mod lease;
mod limits;
mod log;
mod machine;
mod refusals;
mod stop;
mod thousand;
mod threads;
mod withdrawn;
