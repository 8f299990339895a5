//! The published domain client (`posemesh-domain-http`) lists, downloads and uploads on the devnet, byte for
//! byte. With the reference node this is what proves the devnet true.
//!
//! Left out is what that client can't do itself (protocol part 2, D). Its forms have the fixed boundary
//! `boundary`, so that a payload with such a line in it can only go in parts; ids together with a name or a
//! data type make a URL that no server has (`/data&ids=…?name=…`); and without upload sessions its streamed
//! upload sends a create and an update, whichever of them has nothing to say.

mod access;
mod client;
mod downloads;
mod uploads;
