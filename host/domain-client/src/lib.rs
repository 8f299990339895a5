//! The node's client of domain servers (protocol 6): inputs come as streams, artifacts go as streams, in constant
//! memory whatever their size.
//!
//! One [`DomainClient`] serves a node; [`DomainClient::for_task`] makes the ports of one task, which the plugin host
//! hands to the task's runner. How CIDs, names and downloads are read is in `posemesh_domain_data`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use posemesh_domain_client::{DomainClient, DomainSettings, TaskDomain, TaskToken};
//! use posemesh_net::secret::Secret;
//! use posemesh_runner_api::disk::TaskDisk;
//! use posemesh_runner_api::ports::PortErrorKind;
//! use tokio_util::sync::CancellationToken;
//! use uuid::Uuid;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let client = DomainClient::new(DomainSettings::default())?;
//! let ports = client.for_task(TaskDomain {
//!     base_url: "https://ds.example".parse()?,
//!     domain_id: Uuid::from_u128(1),
//!     token: Arc::new(TaskToken::new(Some(Secret::new("token")))),
//!     task_id: Uuid::from_u128(2),
//!     inputs_cids: Vec::new(),
//!     outputs_prefix: Some("out".to_owned()),
//!     disk: TaskDisk::new(std::env::temp_dir()),
//!     stop: CancellationToken::new(),
//! });
//! // A CID that leads to another domain is refused before any request is sent.
//! let error = ports.inputs.open("https://ds.example/domains/x/data").await.err().unwrap();
//! assert_eq!(error.kind, PortErrorKind::Denied);
//! client.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! Each uses those below it only:
//!
//! | Layer | What it does |
//! | --- | --- |
//! | `client` | what a node keeps between tasks |
//! | `inputs`, `outputs` | the two ports of a task |
//! | `download`, `upload` | one input, several small ones, one artifact: resuming, buffers, parts |
//! | `api` | one request: headers, token, timeouts, retries, JSON |
//! | `servers` | which domain servers are in trouble |
//! | `traffic` | counters |
//! | `digest` | SHA-256 of what passes by, beside the network |

mod api;
mod client;
mod digest;
mod download;
mod inputs;
mod outputs;
mod servers;
mod settings;
mod stop;
mod traffic;
mod upload;

pub use api::error::DomainError;
pub use api::retry::RetryPolicy;
pub use api::settings::RequestSettings;
pub use api::token::{TaskToken, TokenVersion};
pub use client::{DomainClient, DomainPorts, TaskDomain};
pub use download::settings::DownloadSettings;
pub use servers::{ServerTrouble, ServerTroubleKind, Servers};
pub use settings::DomainSettings;
pub use traffic::{Traffic, TrafficView, TransferList, TransferredData};
pub use upload::settings::UploadSettings;

#[cfg(test)]
mod tests;
