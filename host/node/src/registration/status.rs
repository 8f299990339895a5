//! Where the node stands with DDS.

use std::fmt;

use tokio::sync::watch;

/// Where the node stands with DDS (protocol 1.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RegistrationStatus {
    /// Not registered, or no longer.
    #[default]
    Disconnected,
    /// Trying to register.
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

/// Publishes a new status, and logs it if it is another one.
pub(super) fn publish(status: &watch::Sender<RegistrationStatus>, to: RegistrationStatus) {
    let from = status.send_replace(to);
    if from != to {
        tracing::info!(event = "status.transition", %from, %to, "registration status");
    }
}
