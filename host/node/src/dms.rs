//! The job server (DMS, protocol 3): wire types in, the node's own types out.
//!
//! [`JobServer`] is what the rest of the node sees. [`DmsClient`] implements it over HTTP; tests script one
//! in memory. What a failed call means for the lease that it was about is decided here, once: nothing above
//! knows of statuses.

mod call;
mod client;
mod error;
mod final_report;
mod large_body;
mod lease;
mod server;
mod wire;

pub(crate) use client::DmsClient;
pub(crate) use error::{JobServerError, JobServerErrorKind};
pub(crate) use final_report::{FinalReport, SetupStage};
#[cfg(test)]
pub(crate) use lease::DomainServerUrl;
pub(crate) use lease::{HeartbeatAnswer, Lease, LeaseAnswer};
pub(crate) use server::JobServer;

/// The base URL of the production DMS.
pub(crate) const DEFAULT_BASE_URL: &str = "https://dms.auki.network/v1";
