//! The pure part of protocol section 6: what a CID stands for ([`cid`]), what an artifact is called
//! ([`name`]), and how the answer to a download is read ([`multipart`], [`disposition`]).
//!
//! All of it reads bytes of strangers, and none of it knows a network, a file or a clock. So it is a crate
//! of its own: its dependencies show that it can't, and it is fuzzed in seconds, without the node.

pub mod cid;
pub mod disposition;
mod excerpt;
pub mod multipart;
pub mod name;

pub use excerpt::excerpt;
