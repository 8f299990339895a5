//! DDS, DMS and a domain server over real HTTP on loopback, for demo, development and tests.
//!
//! The devnet plays the server side of the wire contract and keeps to it as the real servers do: it
//! recovers signers, spends nonces, lets leases expire, takes only the current task token. It shares no
//! code with the node, so that a mistake made on one side does not cancel out on the other. Its tokens are
//! looked up, not verified: nothing outside the process can make one.
//!
//! One listener serves all three roles. The way of a request:
//!
//! ```text
//! conn ─► server::entry ─► route ─► record ─► faults ─► dds | dms | domain ─► faults ─► record
//! ```
//!
//! - `conn`: connections that a fault, or the end of the devnet, can cut.
//! - `route`: the [`Endpoint`] of a request. Faults and records speak of endpoints, never of paths.
//! - [`Faults`]: failures on order: wrong, late, partial, garbled or missing answers.
//! - `dds`: nonces, registration and login of nodes and robots; `siwe` reads what they sign. Applications
//!   log in there too, and get tokens for domains.
//! - `dms`: jobs as their tasks' states; leases, heartbeats, receipts. Time matters only in `sweep`.
//! - `domain`: blobs as files, streamed in and out; metadata in memory and in one index file. A devnet
//!   started again on the same directory has the same data and identities, and has forgotten jobs,
//!   tokens and registrations, as a DDS that lost its database would have.
//!
//! **Invariant:** state changes under a lock that is never held across an `await`, so a request whose
//! connection breaks has happened or has not.
//!
//! Tests drive it in-process: [`Devnet::submit_job`], [`Devnet::put_data`], [`Devnet::wait_for`], and what
//! was seen is in [`Devnet::requests`], [`Devnet::heartbeats`], [`Devnet::task`] and their kin.

mod clock;
mod config;
mod conn;
mod dds;
mod devnet;
mod dms;
mod domain;
mod error;
mod faults;
mod identities;
mod inspect;
mod record;
mod reply;
mod route;
mod server;
pub mod siwe;
mod state;
mod tokens;

pub use config::DevnetConfig;
pub use dds::{AppCredentials, LoginRecord, NodeCredentials, RegistrationRecord, RobotCredentials};
pub use devnet::Devnet;
pub use dms::record::{Failure, HeartbeatRecord, LeaseRecord, SubmittedJob, TaskState, TaskStatus};
pub use domain::session::{PartRecord, SessionRecord, SessionStatus};
pub use domain::store::DataItem;
pub use error::DevnetError;
pub use faults::{Fault, FaultId, Faults};
pub use record::{BearerKind, RequestRecord};
pub use route::{Endpoint, Role};
