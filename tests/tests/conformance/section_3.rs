//! Section 3: DMS.

mod auth;
mod ends;
mod envelope;
mod heartbeat;
mod lease;
