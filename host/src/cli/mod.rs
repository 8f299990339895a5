//! The command line: arguments as given, one module a command. What a command does lies in the library.

pub mod args;
pub mod config;
pub mod demo;
pub mod devnet;
pub mod key;
pub mod node_api;
pub mod plugin;
pub mod progress;
pub mod run;
pub mod runner_list;
