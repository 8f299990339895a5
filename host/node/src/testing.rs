//! A job server, runners and ports in memory: everything that a lease, a heartbeat or the worker touches,
//! so that their tests need no network, no WebAssembly and, with a paused clock, no time.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;
mod job_server;
mod journal;
mod leases;
mod ports;
mod runners;

pub(crate) use fixture::LeaseFixture;
pub(crate) use job_server::{ScriptedJobServer, ServerCall};
pub(crate) use leases::{
    CAPABILITY, TTL, broken, cut_off, error, extended, failure, lease, lost, perhaps_lost, server_date,
};
pub(crate) use runners::FakeRunners;
