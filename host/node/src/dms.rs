//! The client of the job server (protocol 3): leases, heartbeats, and how tasks end.

pub mod client;
pub mod error;
pub mod lease;
pub mod outcome;
mod wire;

pub use client::DmsClient;
pub use error::{Class, DmsCall, DmsError};
pub use lease::{DomainServerUrl, HeartbeatAnswer, Lease, LeaseAnswer};
