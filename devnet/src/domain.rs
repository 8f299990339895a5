//! The domain server: blobs with names, in domains (protocol 6).
//!
//! `read`, `write`, `multipart` and `info` are its endpoints, on the data and the sessions in `state`; `access`, `form`, `names` and `errors` are what these share.

pub(crate) mod access;
pub(crate) mod errors;
pub(crate) mod form;
pub(crate) mod info;
pub(crate) mod multipart;
pub(crate) mod names;
pub(crate) mod read;
pub(crate) mod write;
