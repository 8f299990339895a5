//! The history of a node: what is told of tasks and runners after restarts and crashes, with a disk that can't be written, and
//! what of a node's decisions outlives it.

mod consistency;
mod decisions;
mod fixture;
mod restarts;
