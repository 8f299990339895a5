//! The node's side of the sandbox: processes are started here, and served as far as their runner was granted.

mod budget;
mod call;
mod claims;
mod copies;
mod ending;
mod frames;
mod groups;
pub(crate) mod heard;
mod memories;
mod objects;
pub(crate) mod pool;
mod process;
mod requests;
mod steps;
