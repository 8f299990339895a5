//! Applications: they log in with a key and a secret, and ask for the way into a domain (protocol 1.11,
//! 6.12). The login belongs to another server than DDS, which has no other part in the devnet.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use serde_json::json;
use uuid::Uuid;

use crate::reply::{Answer, Refusal, json};
use crate::state::{Call, Core};
use crate::tokens::Grant;

/// How long the tokens live. Clients ask anew a minute before the end.
const TTL: Duration = Duration::from_secs(3600);

/// What an application logs in with.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    /// Its name, more or less.
    pub key: String,
    /// Its password.
    pub secret: String,
}

impl AppCredentials {
    pub(crate) fn new() -> Self {
        Self { key: format!("app-{}", Uuid::new_v4()), secret: Uuid::new_v4().simple().to_string() }
    }

    /// Whether a request carries them as basic authentication.
    fn are_in(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, encoded)) = value.and_then(|value| value.split_once(' ')) else { return false };
        let expected = format!("{}:{}", self.key, self.secret);
        scheme.eq_ignore_ascii_case("basic")
            && STANDARD.decode(encoded.trim()).is_ok_and(|given| given == expected.as_bytes())
    }
}

pub(crate) fn log_in(core: &Core, call: &Call) -> Answer {
    let app = &core.dds.app;
    if !app.are_in(&call.headers) {
        return Err(Refusal::unauthorized("invalid app credentials"));
    }
    let claims = json!({"iss": "dds", "sub": app.key, "org": core.dds.organization});
    let issued = core.tokens.issue(&core.clock, Grant::App, TTL, claims);
    json(&json!({"access_token": issued.token}))
}

pub(crate) fn open_domain(core: &Core, call: &Call) -> Answer {
    core.require_app(&call.headers)?;
    let domain = Uuid::parse_str(&call.route.domain).ok().filter(|id| core.store.has_domain(*id));
    let domain = domain.ok_or_else(|| Refusal::not_found("domain not found"))?;
    let (organization, server) = (core.dds.organization, core.dds.domain_server);
    let claims = json!({"iss": "dds", "sub": core.dds.app.key, "org": organization, "domain_id": domain});
    let issued = core.tokens.issue(&core.clock, Grant::Domain(domain), TTL, claims);
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
            "url": core.base(),
        },
        "access_token": issued.token,
    }))
}
