//! Leases: one task each, taken from the job server and ended exactly once (protocol 3, 5).
//!
//! ```text
//! granted -> initial heartbeat -> ports -> runner with heartbeats beside it -> last reports -> told
//!    |             |               |                    |
//!    `- cancelled, lost, or failed before it started    `- cancelled, lost, failed, given back
//! ```
//! [`Session`] is that life. It knows the job server as a [`LeaseServer`], runners and storage as
//! traits, and nothing of HTTP or WebAssembly.

pub mod conclude;
pub mod context;
pub mod ending;
pub mod finish;
pub mod outcome;
pub mod run;
pub mod server;
mod session;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use context::{LeaseContext, LeaseSettings, Storages, TaskPorts};
pub use ending::{Ended, Ending};
pub use server::{HeartbeatAnswer, Lease, LeaseAnswer, LeaseServer, ServerError, ServerErrorKind};
pub use session::Session;
