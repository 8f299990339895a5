//! Runners are added, replaced and removed while a node runs.

mod breaker;
mod canary;
mod node;
mod registry;
mod watched;
