//! The pure part of protocol section 6: what a CID stands for ([`cid`]), how artifacts are named ([`name`]), and
//! how the answer to a download is read ([`multipart`], [`disposition`]).
//!
//! All of these parse bytes written by strangers, and none of them needs a network, a file or a clock. They are
//! a crate of their own so that its dependencies prove it, and so that they are fuzzed in seconds, without the node
//! (docs/fuzzing.md).

pub mod cid;
pub mod disposition;
pub mod multipart;
pub mod name;
