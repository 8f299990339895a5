//! Runners are added, replaced and removed while a node runs.

mod breaker;
mod by_hand;
mod canary;
mod claims;
mod node;
mod policy;
mod registry;
mod side_by_side;
mod watched;
