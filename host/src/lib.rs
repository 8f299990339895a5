//! A posemesh compute node whose capability runners are WebAssembly components.
//!
//! The host owns everything that touches the network or a secret; a runner sees the task, input ports,
//! output ports and a line for progress. ARCHITECTURE.md tells how the parts fit together.

#![deny(unsafe_code)]

pub mod auth;
pub mod backoff;
pub mod cases;
pub mod cli;
pub mod clock;
pub mod config;
pub mod disk;
pub mod dms;
pub mod engine;
pub mod files;
pub mod heartbeat;
pub mod http;
pub mod json;
pub mod lease;
pub mod node;
pub mod plugin;
pub mod ports;
pub mod registration;
pub mod report;
pub mod runner;
pub mod secret;
pub mod shutdown;
pub mod status;
pub mod storage;
pub mod task;
pub mod telemetry;
