//! The control plane of a posemesh compute node: who the node is, which work it has, and a whole node put
//! together. ARCHITECTURE.md shows how the parts fit together.
//!
//! A program that embeds a node needs three things: a [`Config`](config::Config), a
//! [`Shutdown`](shutdown::Shutdown) and the [`Node`](node::Node).
//!
//! ```no_run
//! use posemesh_node_core::config::{Config, SettingsFiles, environment};
//! use posemesh_node_core::node::Node;
//! use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let shutdown = Shutdown::new();
//! let _listening = Signals::install(EarlySignals::catch()?)?.pass_on(&shutdown);
//! let config = Config::load(&environment(&SettingsFiles::default())?)?;
//! let node = Node::start(config).await?;
//! node.run(&shutdown).await?;
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]
// The control plane alone is built for the simulation, which does not use all of it.
#![cfg_attr(not(feature = "plugins"), allow(dead_code, unreachable_pub, unused_imports))]

mod admission;
#[cfg(feature = "plugins")]
pub mod archive;
mod audit;
pub mod auth;
#[cfg(feature = "plugins")]
pub mod config;
#[cfg(feature = "plugins")]
pub mod control;
mod dms;
#[cfg(feature = "plugins")]
pub mod doctor;
mod folders;
mod heartbeat;
mod host_name;
mod http_server;
mod journal;
mod lease;
mod meters;
mod millis;
#[cfg(feature = "plugins")]
pub mod node;
#[cfg(feature = "plugins")]
mod noop;
mod records;
mod registration;
#[cfg(feature = "plugins")]
mod reload;
pub mod shutdown;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
#[cfg(feature = "plugins")]
mod status;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod threads;
mod wall_clock;
mod words;
mod workdir;
mod worker;
