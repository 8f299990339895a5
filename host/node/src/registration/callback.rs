//! The inbound routes of protocol 1.10, for a DDS that still calls its nodes. Only what they do is here;
//! [`super::legacy`] serves them.
//!
//! Anybody can reach such a route, so what it says is a hint: it lets the node try to log in, and does
//! neither end the registration nor keep the secret that came with it. If the login succeeds, DDS itself
//! has said that it knows the node, and the node counts as registered.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::state::Registration;
use posemesh_net::json::{self, JsonError};
use posemesh_text::one_line;

/// The largest secret that is accepted, in bytes.
const LARGEST_SECRET: usize = 4096;

/// How many bytes of a caller's text are logged: anybody can send one.
const LOGGED_BYTES: usize = 64;

/// The answer to a callback that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallbackRefusal {
    /// HTTP status.
    pub(super) status: u16,
    /// Plain-text body.
    pub(super) text: &'static str,
}

#[derive(Deserialize)]
struct CallbackBody {
    id: String,
    secret: Zeroizing<String>,
    organization_id: Option<String>,
}

/// `POST /internal/v1/registrations`: takes a hint that DDS knows the node. The answer to one that is taken is
/// 200 `{"ok":true}`.
///
/// # Errors
/// With the answer to one that is not taken.
pub(super) fn receive_callback(registration: &Registration, body: &[u8]) -> Result<(), CallbackRefusal> {
    let refusal = |status, text| CallbackRefusal { status, text };
    let CallbackBody { id, secret, organization_id } =
        json::from_body(body).map_err(|error| match error {
            JsonError::Syntax { .. } => refusal(400, "malformed JSON"),
            JsonError::NotAnObject => refusal(422, "not a JSON object"),
            _ => refusal(422, "missing or wrongly typed field"),
        })?;
    if id.trim().is_empty() {
        return Err(refusal(422, "missing id"));
    }
    if secret.trim().is_empty() {
        return Err(refusal(422, "missing secret"));
    }
    if secret.len() > LARGEST_SECRET {
        return Err(refusal(403, "secret too large"));
    }
    let id = one_line(&id, LOGGED_BYTES);
    let organization_id = organization_id.map(|text| one_line(text, LOGGED_BYTES));
    tracing::info!(id, organization_id, secret_len = secret.len(), "Received registration callback");
    registration.hint();
    Ok(())
}

/// `GET /health`, by which DDS checks its nodes: only logged.
pub(super) fn log_healthcheck(user_agent: Option<&str>) {
    let user_agent = one_line(user_agent.unwrap_or_default(), LOGGED_BYTES);
    // Anybody can send this header, so it decides about a line of the log and nothing else.
    if user_agent.starts_with("DDS v") {
        tracing::debug!(event = "healthcheck.touch", user_agent, "DDS asked how the node is");
    } else {
        tracing::debug!(event = "healthcheck.skip", user_agent, "somebody asked how the node is");
    }
}
