//! One instance of a runner: what it can reach, what that may cost, how it is called and how it ends.
//!
//! **Invariant:** a fresh store for each call. Nothing of a call is left for the next one.
//!
//! From the top down: `run` and `describe` are the two calls; `prepare` makes the `state` of a store, `call`
//! drives it on a thread of its own, `failure` says how it ended. `host` is the WIT in terms of the contexts
//! `inputs`, `outputs` and `control`, each with the budgets that it spends; `bindings` are the WIT in Rust. `v0_1` makes
//! of components of an older version what all of this expects, and `linked` chooses by the component's version.

pub(crate) mod bindings;
pub(crate) mod call;
pub(crate) mod census;
pub(crate) mod control;
pub(crate) mod describe;
pub(crate) mod failure;
pub(crate) mod filesystem;
pub(crate) mod guest_threads;
pub(crate) mod host;
pub(crate) mod host_error;
pub(crate) mod inputs;
pub(crate) mod linked;
pub(crate) mod log_stream;
pub(crate) mod memory;
pub(crate) mod outbound;
pub(crate) mod outputs;
pub(crate) mod port_failure;
pub(crate) mod prepare;
pub(crate) mod process_memory;
pub(crate) mod rate;
pub(crate) mod resources;
pub(crate) mod run;
pub(crate) mod runner_log;
pub(crate) mod scratch;
pub(crate) mod state;
pub(crate) mod trouble;
pub(crate) mod usage;
pub(crate) mod v0_1;
pub(crate) mod wit;
