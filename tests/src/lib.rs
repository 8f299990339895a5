//! What the suites and the benchmarks share: the built things, a node as a process of its own, and a devnet
//! for it.

#![deny(unreachable_pub)]

mod built;
pub mod by_hand;
pub mod guests;
mod http;
mod process;
mod scene;
mod tasks;
pub mod versions;
mod warm;

pub use built::{
    dragon, node_binary, plugin, plugins_dir, plugins_with, reference_binary, reference_domain_client_binary,
    root,
};
pub use http::http_client;
pub use process::{NodeProcess, variables};
pub use scene::{ADMIN_TOKEN, NOOP, Scene, TIMEOUT, gaps};
pub use tasks::{assert_ended_once, leases_of};
pub use warm::warm;
