//! The plugin host: from a `.wasm` file in a directory to a runner that a node can pick.
//!
//! A runner is a WebAssembly component of the world `posemesh:runner/runner`. This crate loads it, sandboxes it and
//! runs tasks on it; where a task's data lies and who hands tasks out is not its business: it meets the rest of a
//! node in [`posemesh_runner_api`] alone.
//!
//! **Invariant:** no wasmtime type leaves this crate.
//!
//! The modules are layers; each uses those above it in this list, and never one below:
//!
//! - [`manifest`]: what a runner asks for, what the operator allows, what counts. Pure.
//! - `ports`: a task's ports, held to what the operator lets its runner reach.
//! - `folders`: which folders of the machine no runner gets.
//! - `instance`: one instance of a runner, its interfaces and its limits.
//! - `code`: machine code: what it is, how it is mapped and what it is linked to.
//! - [`sandbox`]: guests in processes of their own.
//! - [`load`]: from a file to machine code: verified, compiled in a process of its own, cached.
//! - [`registry`]: which generations of which runners are live, kept in step with a directory.
//!
//! # Embedding
//!
//! A program that hosts runners begins its `main` with [`run_child_if_asked`], sets up one
//! [`RunnerEngine`](load::RunnerEngine) and one [`Loader`](load::Loader), and then either loads single files as
//! [`Generation`](registry::Generation)s or has a [`Registry`](registry::Registry) watch a directory. The example
//! `embed` runs one task with ports in memory, in about forty lines.
//!
//! ```
//! use std::sync::Arc;
//!
//! use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
//! use posemesh_plugin_host::registry::{Registry, RegistrySettings, Scan};
//! use posemesh_runner_api::runner::Runners;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! std::fs::write(dir.path().join("broken.wasm"), "not a component")?;
//!
//! let loader = Loader::open(RunnerEngine::new()?, LoaderSettings::default()).await?;
//! let registry = Registry::new(Arc::new(loader), RegistrySettings::new(dir.path()));
//! registry.scan(Scan::Now).await?;
//!
//! assert!(registry.pick("/posemesh/noop/v1").is_none());
//! let refused = registry.view().remove(0).refused.expect("a reason");
//! assert!(refused.reason.contains("not a WebAssembly component"));
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```

mod child;
mod code;
pub mod contract;
mod folders;
mod instance;
pub mod load;
pub mod manifest;
mod ports;
mod program;
pub mod registry;
pub mod sandbox;

pub use child::run_child_if_asked;
