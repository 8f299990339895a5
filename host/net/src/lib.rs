//! What every HTTP call of the node shares, each of it once: how a client is made and a body is read
//! ([`http`]), how long to wait before the next try ([`retry`]), what a server's JSON means ([`json`]), where
//! secrets may travel ([`url`]), which proxies and certificates count ([`network`], [`proxy`], [`roots`]), what its requests
//! were like ([`meter`], counted by [`histogram`]), what time it
//! is ([`clock`]), and text that does not print ([`secret`]).
//!
//! Knows no protocol: paths, fields and what follows from a status belong to the clients.

#![deny(unsafe_code)]

pub mod clock;
pub mod histogram;
pub mod http;
pub mod json;
pub mod meter;
pub mod network;
pub mod proxy;
pub mod retry;
pub mod roots;
pub mod secret;
pub mod trace;
pub mod url;
