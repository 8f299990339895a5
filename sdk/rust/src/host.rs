//! The node: in a component its ports, off wasm a node in memory. Both have the same functions.

#[cfg(target_family = "wasm")]
mod component;
#[cfg(not(target_family = "wasm"))]
mod memory;

#[cfg(target_family = "wasm")]
pub(crate) use component::{Host, HostArtifact, HostInput, HostPart};
#[cfg(not(target_family = "wasm"))]
pub(crate) use memory::{Host, HostArtifact, HostInput, HostPart, State};
