//! A posemesh network on one machine: DDS, DMS and a domain server over real HTTP on loopback, for the
//! demo, development and tests.
//!
//! ```
//! use posemesh_devnet::{Devnet, DevnetConfig, DevnetError};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), DevnetError> {
//! let devnet = Devnet::start(DevnetConfig::default()).await?;
//! println!("DDS_BASE_URL={} DMS_BASE_URL={}", devnet.dds_url(), devnet.dms_url());
//! devnet.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The devnet plays the server side of the wire contract (`docs/protocol.md`) as strictly as the real
//! servers do: it recovers the signer of a login, accepts a nonce once, lets leases expire, and accepts only
//! the current task token. It shares no code with the node, so that a mistake made on one side does not
//! cancel out on the other. Tokens are looked up rather than verified: nothing outside the process can make
//! a valid one.
//!
//! One listener serves all three roles. A request passes through:
//!
//! ```text
//! connection ─► serve ─► route ─► request_log ─► faults ─► dds | dms | domain ─► faults ─► request_log
//! ```
//!
//! - `connection`: connections that a fault, or the shutdown of the devnet, can cut.
//! - `route`: the [`Endpoint`] of a request. Faults and records name endpoints, never paths.
//! - [`Faults`]: injected failures: wrong, late, partial, garbled or missing answers.
//! - `dds`: nonces, registration and login of nodes and robots; `siwe` reads the texts that nodes sign.
//!   Applications log in there too, and obtain tokens for domains.
//! - `dms`: jobs, leases, heartbeats and receipts. Expiry happens only in `sweep`.
//! - `domain`: blobs as files, streamed in and out; metadata in memory and in one index file. A devnet
//!   restarted on the same directory has the same data and identities, but no jobs, tokens or
//!   registrations, like a DDS that lost its database.
//!
//! The files form layers: what the servers know (`state::registry`, `state::queue`, `state::store`,
//! `state::sessions`, `tokens`) knows nothing of requests; `servers` holds all of it; the endpoints above
//! act on `servers`; `serve` calls the endpoints; [`Devnet`] owns the whole.
//!
//! **Invariant:** state changes under a lock that is never held across an `await`, so a request whose
//! connection breaks has taken effect completely or not at all.
//!
//! Tests drive a devnet in-process: [`Devnet::submit_job`], [`Devnet::put_data`] and [`Devnet::wait_for`]
//! act on it; [`Devnet::requests`], [`Devnet::heartbeats`], [`Devnet::task`] and their siblings show what
//! the servers have seen.

mod clock;
mod config;
mod connection;
mod control;
mod dds;
mod devnet;
mod dms;
mod domain;
mod endpoint;
mod error;
mod faults;
mod identities;
mod request;
mod request_log;
mod response;
mod route;
mod serve;
mod servers;
mod siwe;
mod state;
mod sweep;
mod tokens;

pub use config::DevnetConfig;
pub use devnet::Devnet;
pub use endpoint::{Endpoint, Role};
pub use error::DevnetError;
pub use faults::fault::{Fault, FaultId};
pub use faults::rules::Faults;
pub use request_log::{BearerKind, RequestRecord};
pub use state::credentials::{AppCredentials, NodeCredentials, RobotCredentials};
pub use state::item::DataItem;
pub use state::machine_records::{LoginRecord, RegistrationRecord};
pub use state::sessions::{PartRecord, SessionRecord, SessionStatus};
pub use state::task_records::{Failure, HeartbeatRecord, LeaseRecord, SubmittedJob, TaskState, TaskStatus};
