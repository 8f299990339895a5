//! Nodes: nonce, registration, login (protocol 1.2, 1.4, 1.7).

use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Challenge, LoginRecord, RegistrationRecord, is_version};
use crate::reply::{Answer, Refusal, empty, json, read_json};
use crate::siwe::{self, SiweMessage};
use crate::state::{Call, Core};
use crate::tokens::Grant;
use http::StatusCode;

/// What login texts name as their chain.
const CHAIN_ID: i64 = 8453;

#[derive(Debug, Deserialize)]
struct NonceRequest {
    wallet: String,
}

pub(crate) async fn request(core: &Core, call: Call) -> Answer {
    let body: NonceRequest = read_json(call.body, core.config.json_max_bytes).await?;
    let wallet =
        siwe::parse_address(body.wallet.trim()).ok_or_else(|| Refusal::bad_request("invalid wallet"))?;
    let nonce = Uuid::new_v4().simple().to_string();
    let issued_at = core.clock.stamp();
    let answer = json!({
        "nonce": nonce,
        "domain": domain(core),
        "uri": core.base(),
        "version": "1",
        "chainId": CHAIN_ID,
        "issuedAt": issued_at,
    });
    core.dds.note("nonce", &nonce);
    let expires = Instant::now() + core.config.nonce_ttl;
    core.dds.state().challenges.insert(nonce, Challenge { wallet, issued_at, expires });
    json(&answer)
}

/// Host and port of the DDS: what login texts name in their first line.
fn domain(core: &Core) -> String {
    let host = core.base_url.host_str().unwrap_or_default();
    core.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Checks a login text, its signature and its nonce, which is used up by that; gives the wallet.
fn authenticate(core: &Core, message: &str, signature: &str) -> Result<String, Refusal> {
    core.dds.note("signature", signature);
    core.dds.note("login text", message);
    let text = SiweMessage::parse(message).map_err(|error| Refusal::bad_request(error.to_string()))?;
    let signer =
        siwe::recover(message, signature).map_err(|error| Refusal::unauthorized(error.to_string()))?;
    if signer != text.address {
        return Err(Refusal::unauthorized("invalid signature: signed by another wallet"));
    }
    let challenge = core.dds.state().challenges.remove(&text.nonce);
    let challenge = challenge
        .filter(|challenge| challenge.wallet == signer && challenge.expires > Instant::now())
        .ok_or_else(|| Refusal::unauthorized("invalid nonce"))?;
    let expected = [
        ("domain", text.domain == domain(core)),
        ("uri", text.uri.trim_end_matches('/') == core.base()),
        ("version", text.version == "1"),
        ("chain id", text.chain_id == CHAIN_ID),
        ("issued at", text.issued_at == challenge.issued_at),
    ];
    if let Some((field, _)) = expected.into_iter().find(|(_, good)| !good) {
        return Err(Refusal::unauthorized(format!("invalid message: {field} is not what was issued")));
    }
    Ok(signer)
}

#[derive(Debug, Deserialize)]
struct Registration {
    message: String,
    signature: String,
    registration_credentials: String,
    capabilities: Vec<String>,
    version: String,
}

pub(crate) async fn register(core: &Core, call: Call) -> Answer {
    let body: Registration = read_json(call.body, core.config.json_max_bytes).await?;
    check_offer(&body.capabilities, &body.version)?;
    let wallet = authenticate(core, &body.message, &body.signature)?;
    {
        let mut state = core.dds.state();
        let id = state
            .by_credentials(&body.registration_credentials, false)
            .map(|node| node.identity.id)
            .ok_or_else(|| Refusal::unauthorized("invalid registration credentials"))?;
        let taken = state.members.values().any(|other| {
            let same_wallet = other.wallet.as_deref() == Some(wallet.as_str());
            if other.identity.id == id { other.wallet.is_some() && !same_wallet } else { same_wallet }
        });
        if taken {
            return Err(Refusal::conflict("node or wallet is registered already"));
        }
        if let Some(node) = state.members.get_mut(&id) {
            node.wallet = Some(wallet.clone());
            node.capabilities = Some(body.capabilities.clone());
        }
        state.registrations.push(RegistrationRecord {
            at: Instant::now(),
            time: core.clock.now(),
            id,
            wallet: Some(wallet),
            capabilities: body.capabilities,
            version: body.version,
        });
    }
    core.changed();
    empty(StatusCode::OK)
}

/// What a machine says of itself when it registers.
pub(super) fn check_offer(capabilities: &[String], version: &str) -> Result<(), Refusal> {
    if capabilities.is_empty() || capabilities.iter().any(|name| name.trim().is_empty()) {
        return Err(Refusal::bad_request("capabilities must be named"));
    }
    if !is_version(version) {
        return Err(Refusal::bad_request("version must be a semantic version"));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Login {
    #[serde(default)]
    address: Option<String>,
    message: String,
    signature: String,
}

pub(crate) async fn verify(core: &Core, call: Call) -> Answer {
    let body: Login = read_json(call.body, core.config.json_max_bytes).await?;
    let wallet = authenticate(core, &body.message, &body.signature)?;
    if body.address.is_some_and(|address| siwe::parse_address(&address).as_deref() != Some(&wallet)) {
        return Err(Refusal::forbidden("wallet does not match node"));
    }
    let issued = {
        let mut state = core.dds.state();
        let node = state.members.values().find(|node| node.wallet.as_deref() == Some(wallet.as_str()));
        let node = node.ok_or_else(|| Refusal::forbidden("node not found"))?;
        let id = node.identity.id;
        let claims = json!({
            "iss": "dds",
            "sub": id,
            "aud": ["dms"],
            "node_id": id,
            "organization_id": core.dds.organization,
            "node_mode": if node.kind == super::WorkerKind::Dedicated { "dedicated" } else { "public" },
            "capabilities": node.capabilities,
        });
        let (at, time) = (Instant::now(), core.clock.now());
        state.logins.push(LoginRecord { at, time, id, wallet: Some(wallet.clone()) });
        let issued = core.tokens.issue(&core.clock, Grant::Node(id), core.config.machine_token_ttl, claims);
        json!({
            "node_id": id,
            "wallet": wallet,
            "access_token": issued.token,
            "access_expires_at": core.clock.stamp_of(issued.expires),
        })
    };
    core.changed();
    json(&issued)
}
