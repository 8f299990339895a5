//! Requests to a task's domain server: addresses, headers, tokens, timeouts, retries, and the JSON on the wire.
//!
//! [`task_client::TaskClient`] sends them; the other modules are what it is made of, and the two small questions
//! that uploads ask first ([`info`], [`lookup`]).

pub(crate) mod call;
pub(crate) mod error;
pub(crate) mod http;
pub(crate) mod info;
pub(crate) mod lookup;
pub(crate) mod payload;
pub(crate) mod retry;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod stall;
pub(crate) mod task_client;
pub(crate) mod token;
pub(crate) mod wire;
