//! The domain server: blobs with names, in domains (protocol 6).
//!
//! `store`, `blob` and `sessions` are its state, and know nothing of requests. `read`, `write`, `multipart`
//! and `info` are its endpoints; `access`, `form`, `names` and `errors` are what these share.

pub(crate) mod access;
pub(crate) mod blob;
pub(crate) mod errors;
pub(crate) mod form;
pub(crate) mod info;
pub(crate) mod item;
pub(crate) mod multipart;
pub(crate) mod names;
pub(crate) mod read;
pub(crate) mod sessions;
pub(crate) mod store;
pub(crate) mod write;
