//! The published domain client (`posemesh-domain-http`) lists, downloads and uploads on the devnet, byte for
//! byte. Together with the reference node this shows that the devnet
//! behaves like the real servers.
//!
//! Not tested is what that client can't do itself (protocol part 2, D). Its forms have the fixed boundary
//! `boundary`, so that a payload with such a line in it can only go in parts; ids together with a name or a
//! data type make a URL that no server accepts (`/data&ids=…?name=…`); and without upload sessions its streamed
//! upload sends both a create and an update request, even if one of them is empty.

mod access;
mod client;
mod downloads;
mod uploads;
