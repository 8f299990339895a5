//! Heartbeats: what keeps a lease alive while its runner works (protocol 4.2, 4.3).
//!
//! They run in a task of their own and share nothing with the runner but [`posemesh_runner_api::reports::Reports`] and
//! the task token, so neither a busy runner nor a stalled upload delays them. They need a thread of the
//! runtime now and then: whoever runs guest code must do it where it can't take all of them (the plugin
//! host yields at epoch ticks and runs guests on threads of their own).

pub mod clock;
mod driver;
pub mod line;
pub mod policy;

pub use driver::{Condition, Heartbeats};
