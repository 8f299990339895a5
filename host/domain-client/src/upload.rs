//! Uploads an artifact: first into a buffer, then in one request ([`simple`]) or in parts ([`multipart`]), as it turns
//! out (protocol 6.6).
//!
//! A buffer is memory while the task's share of it lasts, then a file (`buffer`, `blocks`, `spool`).

pub(crate) mod aborts;
mod blocks;
pub(crate) mod budget;
mod buffer;
pub(crate) mod context;
pub(crate) mod index;
mod multipart;
mod plan;
pub(crate) mod settings;
mod simple;
mod spool;
pub(crate) mod stored;
pub(crate) mod target;
pub(crate) mod writer;
