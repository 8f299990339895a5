//! Runners are added, replaced and removed while a node runs.

mod canary;
mod node;
mod registry;
mod watched;
