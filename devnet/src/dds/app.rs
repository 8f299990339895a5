//! Applications: they log in with a key and a secret, and ask for access to a domain (protocol 1.11, 6.12).
//! The login belongs to a server of its own ("API server"), which the devnet has no other use for.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use serde_json::json;
use uuid::Uuid;

use crate::request::ApiRequest;
use crate::response::{ApiError, ApiResult, json};
use crate::servers::Servers;
use crate::state::credentials::AppCredentials;
use crate::tokens::TokenGrant;

/// Lifetime of the tokens of applications. Clients replace a token 60 s before it expires (protocol 6.12), so
/// it must be longer than that.
const APP_TOKEN_TTL: Duration = Duration::from_secs(3600);

/// Whether a request carries these credentials as basic authentication.
fn carries(headers: &HeaderMap, app: &AppCredentials) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, encoded)) = value.and_then(|value| value.split_once(' ')) else { return false };
    let expected = format!("{}:{}", app.key, app.secret);
    scheme.eq_ignore_ascii_case("basic")
        && STANDARD.decode(encoded.trim()).is_ok_and(|given| given == expected.as_bytes())
}

pub(crate) fn log_in(servers: &Servers, request: &ApiRequest) -> ApiResult {
    let app = &servers.registry.app;
    if !carries(&request.headers, app) {
        return Err(ApiError::unauthorized("invalid app credentials"));
    }
    let claims = json!({"iss": "dds", "sub": app.key, "org": servers.registry.organization});
    let issued = servers.tokens.issue(&servers.clock, TokenGrant::App, APP_TOKEN_TTL, claims);
    json(&json!({"access_token": issued.token}))
}

pub(crate) fn open_domain(servers: &Servers, request: &ApiRequest) -> ApiResult {
    servers.require_app(&request.headers)?;
    let domain = Uuid::parse_str(&request.route.domain).ok().filter(|id| servers.store.has_domain(*id));
    let domain = domain.ok_or_else(|| ApiError::not_found("domain not found"))?;
    let registry = &servers.registry;
    let (organization, server) = (registry.organization, registry.domain_server);
    let claims = json!({"iss": "dds", "sub": registry.app.key, "org": organization, "domain_id": domain});
    let issued = servers.tokens.issue(&servers.clock, TokenGrant::Domain(domain), APP_TOKEN_TTL, claims);
    json(&json!({
        "id": domain,
        "name": format!("devnet domain {domain}"),
        "organization_id": organization,
        "domain_server_id": server,
        "redirect_url": null,
        "domain_server": {
            "id": server,
            "organization_id": organization,
            "name": "devnet",
            "url": servers.base(),
        },
        "access_token": issued.token,
    }))
}
