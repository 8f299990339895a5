//! Leases: one task each, granted by the job server and ended exactly once (protocol 5).
//!
//! ```text
//! granted -> initial heartbeat -> ports -> runner, with heartbeats -> last reports -> final report
//!    |             |               |                  |
//!    `- cancelled, lost, or failed before the start   `- cancelled, lost, failed, released
//! ```
//! [`LeaseSession`] is that life: [`setup`] gets a lease to its runner, [`run`] runs it, [`conclude`] and
//! [`delivery`] report to the server how it ended. A session knows the job server, the runners and the ports as
//! traits, and nothing of HTTP or WebAssembly.

mod conclude;
mod context;
mod delivery;
mod orphan;
mod ports;
mod release;
mod run;
mod session;
mod settings;
mod setup;
mod unreadable;

pub(crate) use context::LeaseContext;
pub(crate) use orphan::give_back;
pub(crate) use ports::{DomainPortOpener, OpenPorts};
pub(crate) use release::ReleaseOrder;
pub(crate) use session::{LeaseSession, SessionEnd};
pub(crate) use settings::LeaseSettings;
pub(crate) use unreadable::fail_unreadable;

#[cfg(test)]
mod tests;
