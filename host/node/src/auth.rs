//! Who the node is towards DDS and DMS: its identity, what it signs, the client of DDS, and the machine token
//! (protocol 1 and 2). Which login is used, and when, is decided in [`crate::registration`].

pub(crate) mod bearer;
pub(crate) mod dds;
pub(crate) mod identity;
pub(crate) mod login;
pub(crate) mod siwe;
pub(crate) mod token;
pub mod wallet;

pub(crate) use bearer::{AuthError, MachineAuth};
