//! The control plane of a posemesh compute node: who the node is, which work it has, and a whole node put
//! together. ARCHITECTURE.md tells how the parts fit together.

#![deny(unsafe_code)]

pub mod auth;
pub mod config;
pub mod dms;
pub mod engine;
pub mod heartbeat;
pub mod lease;
pub mod node;
pub mod registration;
pub mod shutdown;
pub mod status;
pub mod telemetry;
