//! Being a member of the network: registering with DDS, staying registered, and logging in (protocol 1.4
//! to 1.10).
//!
//! A node with a wallet registers in a loop of its own ([`task`]) and logs in once it is registered
//! ([`wallet`]). A robot does both in one call ([`robot`]). [`membership`] puts together what the identity
//! needs. All state belongs to an instance: two nodes in one process share none.

mod callback;
mod capabilities;
#[cfg(feature = "plugins")]
mod dry_login;
mod failure;
pub(crate) mod legacy;
pub(crate) mod membership;
mod pacing;
mod robot;
mod settings;
mod state;
mod status;
mod task;
mod unheard;
pub(crate) mod version;
mod wallet;

#[cfg(feature = "plugins")]
pub(crate) use dry_login::dry_login;
pub(crate) use membership::{Membership, MembershipSettings};
pub(crate) use settings::RegistrationSettings;
pub(crate) use status::RegistrationStatus;
