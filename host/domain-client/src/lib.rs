//! The node's side of a domain server (protocol 6): inputs come as streams, artifacts go as streams, in
//! constant memory whatever their size.
//!
//! [`DomainClient`] is the node's; [`DomainClient::for_task`] makes the ports of one task, which the
//! plugin host hands to its runner. How CIDs, names and downloads are read is in `posemesh_domain_data`.
//!
//! - *Down*: `input` opens a CID, `download` reads the answer in a task of its own a few chunks ahead of
//!   the runner, and takes a download up again that was cut.
//! - *Up*: `writer` keeps the start of an artifact in a `buffer`. What stays small goes in one request
//!   (`single`); what grows goes in parts while the runner still writes (`session`). A buffer is memory while
//!   the task's share of it lasts, then a file (`spool`): for a server without sessions, for large parts.
//! - Both speak through `call`: one place for headers, timeouts, retries and refused tokens.

mod access;
mod buffer;
mod call;
mod client;
mod download;
mod error;
mod info;
mod input;
mod lookup;
mod output;
mod payload;
mod retry;
mod session;
mod settings;
mod single;
mod spool;
pub mod token;
mod traffic;
mod wire;
mod writer;

#[cfg(test)]
mod tests;

pub use client::{DomainClient, TaskDomain, TaskStorage};
pub use error::StorageError;
pub use retry::RetryPolicy;
pub use settings::StorageSettings;
pub use token::{Held, TaskToken};
pub use traffic::{Listed, Moved, Traffic, TrafficView};
