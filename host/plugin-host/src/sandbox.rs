//! Guests in processes of their own.
//!
//! The node starts itself as a sandbox process for each generation that has work. That process has one runner's code, the
//! folders of its tasks and its granted directories, and a channel to its node; the kernel holds it to that. Whatever a
//! guest does to it, its tasks are the most that end.
//!
//! `wire` is what the two say to each other, over `channel` and, for bulk bytes, `arena`; `guest` is the process, held by
//! `confine` and `syscalls`; `node` starts it and does what only the node can do.
//!
//! **Invariant:** what comes from a sandbox process is taken for what a stranger says. It is bounded, counted again where
//! it costs something, and a process that says what an honest one would not is ended.

pub(crate) mod arena;
pub(crate) mod buffers;
pub(crate) mod channel;
pub(crate) mod confine;
pub(crate) mod guest;
pub(crate) mod node;
pub(crate) mod settings;
pub(crate) mod shared_disk;
pub(crate) mod syscalls;
#[doc(hidden)]
pub mod taken_over;
pub(crate) mod wire;

pub use node::pool::check;
pub use settings::{SandboxError, SandboxMode, SandboxSettings, SandboxView};
