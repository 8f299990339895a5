//! The discovery service: who may log in, and what they log in with (protocol 1).
//!
//! `node`, `robot` and `app` are its endpoints for the three kinds of clients; its state is in `state`.

pub(crate) mod app;
pub(crate) mod node;
pub(crate) mod robot;
