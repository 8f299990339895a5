//! The commands, a file each: its arguments, and a function `run` that executes it.

pub(crate) mod completions;
pub(crate) mod config;
#[cfg(feature = "devnet")]
pub(crate) mod demo;
#[cfg(feature = "devnet")]
pub(crate) mod devnet;
pub(crate) mod diag;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod log_level;
pub(crate) mod manual;
pub(crate) mod plugin;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod tasks;
pub(crate) mod top;
