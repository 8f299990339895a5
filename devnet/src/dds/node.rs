//! Nodes: nonce, registration and login (protocol 1.2, 1.4, 1.7).

use std::time::Instant;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::request::{ApiRequest, read_json};
use crate::response::{ApiError, ApiResult, empty, json};
use crate::servers::Servers;
use crate::siwe::{self, SiweMessage};
use crate::state::machine_records::{LoginRecord, RegistrationRecord};
use crate::state::registry::NonceEntry;
use crate::tokens::TokenGrant;

/// The chain that login texts name.
const CHAIN_ID: i64 = 8453;

#[derive(Debug, Deserialize)]
struct NonceRequest {
    wallet: String,
}

pub(crate) async fn request_nonce(servers: &Servers, request: ApiRequest) -> ApiResult {
    let body: NonceRequest = read_json(request.body).await?;
    let wallet =
        siwe::parse_address(body.wallet.trim()).ok_or_else(|| ApiError::bad_request("invalid wallet"))?;
    let nonce = Uuid::new_v4().simple().to_string();
    let issued_at = servers.clock.timestamp();
    let answer = json!({
        "nonce": nonce,
        "domain": siwe_domain(servers),
        "uri": servers.base(),
        "version": "1",
        "chainId": CHAIN_ID,
        "issuedAt": issued_at,
    });
    let expires = Instant::now() + servers.config.nonce_ttl;
    let mut state = servers.registry.state();
    state.keep_secret("nonce", &nonce);
    state.nonces.insert(nonce, NonceEntry { wallet, issued_at, expires });
    json(&answer)
}

/// Host and port of DDS, which the first line of a login text names.
fn siwe_domain(servers: &Servers) -> String {
    let host = servers.base_url.host_str().unwrap_or_default();
    servers.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Checks a login text, its signature and its nonce. Returns the wallet that signed it.
fn authenticate(servers: &Servers, message: &str, signature: &str) -> Result<String, ApiError> {
    let mut state = servers.registry.state();
    state.keep_secret("signature", signature);
    state.keep_secret("login text", message);
    let text = SiweMessage::parse(message).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let signer =
        siwe::recover(message, signature).map_err(|error| ApiError::unauthorized(error.to_string()))?;
    if signer != text.address {
        return Err(ApiError::unauthorized("invalid signature: signed by another wallet"));
    }
    // Removed whether or not the checks succeed: a nonce is good for one attempt.
    let nonce = state
        .nonces
        .remove(&text.nonce)
        .filter(|nonce| nonce.wallet == signer && nonce.expires > Instant::now())
        .ok_or_else(|| ApiError::unauthorized("invalid nonce"))?;
    let expected = [
        ("domain", text.domain == siwe_domain(servers)),
        ("uri", text.uri.trim_end_matches('/') == servers.base()),
        ("version", text.version == "1"),
        ("chain id", text.chain_id == CHAIN_ID),
        ("issued at", text.issued_at == nonce.issued_at),
    ];
    if let Some((field, _)) = expected.into_iter().find(|(_, good)| !good) {
        return Err(ApiError::unauthorized(format!("invalid message: {field} is not what was issued")));
    }
    Ok(signer)
}

#[derive(Debug, Deserialize)]
struct RegisterNodeRequest {
    message: String,
    signature: String,
    registration_credentials: String,
    capabilities: Vec<String>,
    version: String,
}

pub(crate) async fn register(servers: &Servers, request: ApiRequest) -> ApiResult {
    let body: RegisterNodeRequest = read_json(request.body).await?;
    // First, because it costs no nonce: the node can correct itself and use the same one.
    check_description(&body.capabilities, &body.version)?;
    let wallet = authenticate(servers, &body.message, &body.signature)?;
    {
        let mut state = servers.registry.state();
        let id = state
            .by_credentials(&body.registration_credentials, false)
            .map(|node| node.identity.id)
            .ok_or_else(|| ApiError::unauthorized("invalid registration credentials"))?;
        // A node has one wallet and a wallet has one node, until the registration is forgotten. The same pair
        // may register again: a restarted node does (protocol 1.5).
        let taken = state.machines.values().any(|other| {
            let same_wallet = other.wallet.as_deref() == Some(wallet.as_str());
            if other.identity.id == id { other.wallet.is_some() && !same_wallet } else { same_wallet }
        });
        if taken {
            return Err(ApiError::conflict("node or wallet is registered already"));
        }
        if let Some(node) = state.machines.get_mut(&id) {
            node.wallet = Some(wallet.clone());
            node.capabilities = Some(body.capabilities.clone());
        }
        state.registrations.push(RegistrationRecord {
            at: Instant::now(),
            id,
            wallet: Some(wallet),
            capabilities: body.capabilities,
            version: body.version,
        });
    }
    servers.changed();
    // Without a body: another client takes a non-empty one for an error (protocol 1.4).
    empty(StatusCode::OK)
}

/// Checks what a machine registers of itself: its capabilities and its version (protocol 1.4).
pub(super) fn check_description(capabilities: &[String], version: &str) -> Result<(), ApiError> {
    if capabilities.is_empty() || capabilities.iter().any(|name| name.trim().is_empty()) {
        return Err(ApiError::bad_request("capabilities must be named"));
    }
    if !is_version(version) {
        return Err(ApiError::bad_request("version must be a semantic version"));
    }
    Ok(())
}

/// Whether this is a semantic version, with or without a leading `v`.
fn is_version(text: &str) -> bool {
    let text = text.trim();
    semver::Version::parse(text.strip_prefix(['v', 'V']).unwrap_or(text)).is_ok()
}

#[derive(Debug, Deserialize)]
struct NodeLoginRequest {
    #[serde(default)]
    address: Option<String>,
    message: String,
    signature: String,
}

pub(crate) async fn log_in(servers: &Servers, request: ApiRequest) -> ApiResult {
    let body: NodeLoginRequest = read_json(request.body).await?;
    let wallet = authenticate(servers, &body.message, &body.signature)?;
    // The address is optional (protocol 1.7): the signed text has it too.
    if body.address.is_some_and(|address| siwe::parse_address(&address).as_deref() != Some(&wallet)) {
        return Err(ApiError::forbidden("wallet does not match node"));
    }
    let (id, capabilities) = {
        let mut state = servers.registry.state();
        let node = state.machines.values().find(|node| node.wallet.as_deref() == Some(wallet.as_str()));
        let node = node.ok_or_else(|| ApiError::forbidden("node not found"))?;
        let (id, capabilities) = (node.identity.id, node.capabilities.clone());
        state.logins.push(LoginRecord { at: Instant::now(), id });
        (id, capabilities)
    };
    let claims = json!({
        "iss": "dds",
        "sub": id,
        "aud": ["dms"],
        "node_id": id,
        "organization_id": servers.registry.organization,
        "node_mode": "public",
        "capabilities": capabilities,
    });
    let ttl = servers.config.machine_token_ttl;
    let issued = servers.tokens.issue(&servers.clock, TokenGrant::Node(id), ttl, claims);
    servers.changed();
    json(&json!({
        "node_id": id,
        "wallet": wallet,
        "access_token": issued.token,
        "access_expires_at": servers.clock.timestamp_of(issued.expires),
    }))
}

#[cfg(test)]
mod tests;
