//! What nodes, robots and applications register and log in with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an operator is given for a node.
#[derive(Debug, Clone)]
pub struct NodeCredentials {
    /// Id of the node, which `registration_secret` contains too.
    pub node_id: Uuid,
    /// Value of `REG_SECRET`: standard Base64 of `<node id>:<secret>` (protocol 1.4).
    pub registration_secret: String,
}

/// What an operator is given for a robot.
#[derive(Debug, Clone)]
pub struct RobotCredentials {
    /// Id of the robot, which `registration_credentials` contains too.
    pub robot_id: Uuid,
    /// Value of `ROBOT_REGISTRATION_CREDENTIALS`, used for registration and login (protocol 1.9).
    pub registration_credentials: String,
}

/// What an application logs in with (protocol 6.12).
#[derive(Debug, Clone)]
pub struct AppCredentials {
    /// User name of the basic authentication.
    pub key: String,
    /// Password of the basic authentication.
    pub secret: String,
}

impl AppCredentials {
    pub(crate) fn new() -> Self {
        Self { key: format!("app-{}", Uuid::new_v4()), secret: Uuid::new_v4().simple().to_string() }
    }
}

/// Id and secret of a machine, which is a node or a robot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MachineIdentity {
    pub(crate) id: Uuid,
    pub(crate) secret: String,
}

impl MachineIdentity {
    pub(crate) fn new() -> Self {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { id: Uuid::new_v4(), secret }
    }

    /// The text that the machine sends as `registration_credentials`.
    pub(crate) fn encode(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.id, self.secret))
    }

    /// Reads what [`Self::encode`] writes.
    pub(crate) fn decode(credentials: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some(Self { id: Uuid::parse_str(id).ok()?, secret: secret.to_owned() })
    }
}
