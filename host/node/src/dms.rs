//! The job server (DMS, protocol 3): wire types in, the node's own types out.
//!
//! [`JobServer`] is what the rest of the node sees. [`DmsClient`] implements it over HTTP; tests script one
//! in memory. What a failed call means for the lease that it was about is decided here, once: nothing above
//! knows of statuses.

mod authorized;
mod call;
mod client;
mod error;
mod final_report;
mod large_body;
mod lease;
mod server;
mod wire;

#[cfg(any(test, feature = "simulation"))]
pub(crate) use authorized::{Sent, send_authorized};
#[cfg(any(test, feature = "simulation"))]
pub(crate) use call::DmsCall;
pub(crate) use client::DmsClient;
pub(crate) use error::{JobServerError, JobServerErrorKind};
pub(crate) use final_report::{FinalReport, SetupStage};
#[cfg(test)]
pub(crate) use lease::DomainServerUrl;
pub(crate) use lease::{HeartbeatAnswer, Lease, LeaseAnswer};
pub(crate) use server::JobServer;

/// The base URL of the production DMS.
pub(crate) const DEFAULT_BASE_URL: &str = "https://dms.auki.network/v1";

/// What the simulation needs of this module beyond what the node does: it reads answers as the client does.
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod simulated {
    use posemesh_net::json::JsonError;
    use time::OffsetDateTime;

    use super::{HeartbeatAnswer, LeaseAnswer, wire};

    pub(crate) fn decode_lease(body: &[u8], server_date: Option<OffsetDateTime>) -> LeaseAnswer {
        wire::decode_lease(body, server_date)
    }

    pub(crate) fn decode_heartbeat_answer(
        body: &[u8],
        server_date: Option<OffsetDateTime>,
    ) -> Result<HeartbeatAnswer, JsonError> {
        wire::decode_heartbeat_answer(body, server_date)
    }
}
