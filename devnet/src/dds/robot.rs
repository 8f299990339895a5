//! Robots: registration, which is also a login, and login (protocol 1.9).

use std::time::Instant;

use serde::Deserialize;
use serde_json::json;

use crate::dds::node::check_description;
use crate::request::{ApiRequest, read_json};
use crate::response::{ApiError, ApiResult, json};
use crate::servers::Servers;
use crate::state::machine_records::{LoginRecord, RegistrationRecord};
use crate::state::registry::MachineKind;
use crate::tokens::TokenGrant;

fn invalid_credentials() -> ApiError {
    ApiError::unauthorized("invalid registration credentials")
}

#[derive(Debug, Deserialize)]
struct RegisterRobotRequest {
    registration_credentials: String,
    version: String,
    capabilities: Vec<String>,
}

pub(crate) async fn register(servers: &Servers, request: ApiRequest) -> ApiResult {
    let body: RegisterRobotRequest = read_json(request.body).await?;
    check_description(&body.capabilities, &body.version)?;
    {
        let mut state = servers.registry.state();
        let robot =
            state.by_credentials(&body.registration_credentials, true).ok_or_else(invalid_credentials)?;
        robot.capabilities = Some(body.capabilities.clone());
        let id = robot.identity.id;
        state.registrations.push(RegistrationRecord {
            at: Instant::now(),
            id,
            wallet: None,
            capabilities: body.capabilities,
            version: body.version,
        });
    }
    issue_token(servers, &body.registration_credentials)
}

#[derive(Debug, Deserialize)]
struct RobotLoginRequest {
    registration_credentials: String,
}

pub(crate) async fn log_in(servers: &Servers, request: ApiRequest) -> ApiResult {
    let body: RobotLoginRequest = read_json(request.body).await?;
    issue_token(servers, &body.registration_credentials)
}

/// The answer to both registration and login.
fn issue_token(servers: &Servers, credentials: &str) -> ApiResult {
    let (id, domain) = {
        let mut state = servers.registry.state();
        let robot = state.by_credentials(credentials, true).ok_or_else(invalid_credentials)?;
        let (id, MachineKind::Robot { domain }) = (robot.identity.id, robot.kind) else {
            return Err(ApiError::forbidden("not a robot"));
        };
        // A devnet restarted on the same directory knows the robot but not its registration.
        if robot.capabilities.is_none() {
            return Err(ApiError::forbidden("robot not registered"));
        }
        state.logins.push(LoginRecord { at: Instant::now(), id });
        (id, domain)
    };
    let claims = json!({
        "iss": "dds",
        "sub": id,
        "aud": [format!("{}/robots", servers.base())],
        "node_id": id,
        "organization_id": servers.registry.organization,
        "node_type": "robot",
        "node_mode": "dedicated",
        "assigned_domain_id": domain,
    });
    let ttl = servers.config.machine_token_ttl;
    let issued = servers.tokens.issue(&servers.clock, TokenGrant::Robot(id), ttl, claims);
    servers.changed();
    json(&json!({
        "robot_id": id,
        "access_token": issued.token,
        "access_expires_at": servers.clock.timestamp_of(issued.expires),
    }))
}
