//! The plugin host: from a `.wasm` file in a directory to a runner that the engine can pick.
//!
//! **Invariant:** no wasmtime type leaves this module; the rest of the node sees [`posemesh_runner_api::runner`].
//!
//! - [`sandbox`]: the engine, its linker, its epoch ticker.
//! - [`component`]: bytes verified, compiled (`compiler`, `cache`, `compiled`), linked (`world`).
//! - [`description`], [`limits`], [`policy`]: what a runner asks for, what the operator allows, what counts.
//! - [`generation`]: a runner that has passed every [`stage`]; [`registry`]: which of them are live, with
//!   [`canary`] and [`tally`]; `serving`: one in a task's hands.
//! - `guest`, `state`, `host_*`, `download`: one run.

mod bindings;
pub mod cache;
pub mod canary;
mod compiled;
pub mod compiler;
pub mod component;
pub mod description;
mod download;
mod failure;
pub mod generation;
mod guest;
mod host_control;
mod host_inputs;
mod host_outputs;
pub mod limits;
pub mod load_error;
mod log_file;
mod memory;
pub mod network;
mod outbound;
pub mod policy;
mod prepare;
pub mod registry;
mod runner_log;
pub mod sandbox;
mod scratch;
mod serving;
pub mod stage;
mod state;
pub mod tally;
mod usage;
pub mod world;

pub use guest::stuck_runners;
