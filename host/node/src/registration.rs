//! Being a member of the network: registering with DDS, staying registered, and logging in (protocol 1.4
//! to 1.10).
//!
//! A node with a wallet registers in a loop of its own ([`machine`]) and logs in once it is registered
//! ([`wallet`]). A robot does both in one call ([`robot`]). [`membership`] puts together what the
//! configuration asks for. All state belongs to an instance: two nodes in one process do not meet.

pub mod callback;
pub mod classify;
pub mod legacy;
pub mod machine;
pub mod membership;
pub mod pace;
pub mod robot;
pub mod version;
pub mod wallet;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

pub use membership::{Membership, MembershipTask};

/// Where the node stands with DDS (protocol 1.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// Not registered, or not any more.
    #[default]
    Disconnected,
    /// Trying.
    Registering,
    /// DDS knows the node.
    Registered,
}

impl fmt::Display for RegistrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "disconnected",
            Self::Registering => "registering",
            Self::Registered => "registered",
        })
    }
}

/// How long capabilities have to stay the same before DDS is told: several runners that come at once
/// make one registration.
const SETTLE: Duration = Duration::from_millis(500);

/// Waits until there are capabilities, other than the `known` ones, and they have settled.
async fn capabilities_other_than(
    capabilities: &mut watch::Receiver<BTreeSet<String>>,
    known: Option<&BTreeSet<String>>,
) -> BTreeSet<String> {
    loop {
        let current = capabilities.borrow_and_update().clone();
        if !current.is_empty() && Some(&current) != known {
            match tokio::time::timeout(SETTLE, capabilities.changed()).await {
                // They change again.
                Ok(Ok(())) => continue,
                // Settled, or nobody is left who could change them.
                Ok(Err(_)) | Err(_) => return current,
            }
        }
        if capabilities.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
