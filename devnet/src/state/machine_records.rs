//! Registrations and logins, as tests see them.

use std::time::Instant;

use uuid::Uuid;

/// An accepted registration of a node or robot.
#[derive(Debug, Clone)]
pub struct RegistrationRecord {
    /// When it was accepted.
    pub at: Instant,
    /// Id of the node or robot.
    pub id: Uuid,
    /// Wallet of the node, in lower case with `0x`; robots have none.
    pub wallet: Option<String>,
    /// Capabilities as sent.
    pub capabilities: Vec<String>,
    /// Version as sent.
    pub version: String,
}

/// An accepted login of a node or robot.
#[derive(Debug, Clone)]
pub struct LoginRecord {
    /// When it was accepted.
    pub at: Instant,
    /// Id of the node or robot.
    pub id: Uuid,
}
