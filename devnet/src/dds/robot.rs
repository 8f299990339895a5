//! Robots: registration, which is a login too, and login (protocol 1.9).

use std::time::Instant;

use serde::Deserialize;
use serde_json::json;

use super::node::check_offer;
use super::{LoginRecord, RegistrationRecord, WorkerKind};
use crate::reply::{Answer, Refusal, json, read_json};
use crate::state::{Call, Core};
use crate::tokens::Grant;

#[derive(Debug, Deserialize)]
struct Registration {
    registration_credentials: String,
    version: String,
    capabilities: Vec<String>,
}

pub(crate) async fn register(core: &Core, call: Call) -> Answer {
    let body: Registration = read_json(call.body, core.config.json_max_bytes).await?;
    check_offer(&body.capabilities, &body.version)?;
    {
        let mut state = core.dds.state();
        let robot = state
            .by_credentials(&body.registration_credentials, true)
            .ok_or_else(|| Refusal::unauthorized("invalid registration credentials"))?;
        robot.capabilities = Some(body.capabilities.clone());
        let id = robot.identity.id;
        state.registrations.push(RegistrationRecord {
            at: Instant::now(),
            time: core.clock.now(),
            id,
            wallet: None,
            capabilities: body.capabilities,
            version: body.version,
        });
    }
    log_in(core, &body.registration_credentials)
}

#[derive(Debug, Deserialize)]
struct Login {
    registration_credentials: String,
}

pub(crate) async fn verify(core: &Core, call: Call) -> Answer {
    let body: Login = read_json(call.body, core.config.json_max_bytes).await?;
    log_in(core, &body.registration_credentials)
}

fn log_in(core: &Core, credentials: &str) -> Answer {
    let answer = {
        let mut state = core.dds.state();
        let robot = state
            .by_credentials(credentials, true)
            .ok_or_else(|| Refusal::unauthorized("invalid registration credentials"))?;
        let (id, WorkerKind::Robot { domain }) = (robot.identity.id, robot.kind) else {
            return Err(Refusal::forbidden("not a robot"));
        };
        if robot.capabilities.is_none() {
            return Err(Refusal::forbidden("robot not registered"));
        }
        let claims = json!({
            "iss": "dds",
            "sub": id,
            "aud": [format!("{}/robots", core.base())],
            "node_id": id,
            "organization_id": core.dds.organization,
            "node_type": "robot",
            "node_mode": "dedicated",
            "assigned_domain_id": domain,
        });
        state.logins.push(LoginRecord { at: Instant::now(), time: core.clock.now(), id, wallet: None });
        let issued = core.tokens.issue(&core.clock, Grant::Robot(id), core.config.machine_token_ttl, claims);
        json!({
            "robot_id": id,
            "access_token": issued.token,
            "access_expires_at": core.clock.stamp_of(issued.expires),
        })
    };
    core.changed();
    json(&answer)
}
