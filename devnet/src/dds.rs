//! The discovery service: who may log in, and what they log in with (protocol 1).
//!
//! `registry` is its state; `node`, `robot` and `app` are its endpoints for the three kinds of clients.

pub(crate) mod app;
pub(crate) mod credentials;
pub(crate) mod node;
pub(crate) mod records;
pub(crate) mod registry;
pub(crate) mod robot;
