//! Section 6: the domain server. A runner copies its inputs to artifacts, so that every byte is transferred
//! twice; the artifacts are compared with the inputs.

mod copying;
mod disk;
mod download;
mod input;
mod record;
mod session;
mod stall;
mod upload;
