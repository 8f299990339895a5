//! The inbound routes of protocol 1.10, for a DDS that still calls its nodes. Only what they do is here;
//! [`super::legacy`] serves them.
//!
//! Anybody can reach such a route, so what it says is a hint: it lets the node try to log in, and does
//! neither end the registration nor keep the secret that came with it. If the login succeeds, DDS itself
//! has said that it knows the node, and the node counts as registered.

use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::machine::Registration;
use posemesh_net::json::{self, JsonError};

/// Largest secret, in bytes.
const LARGEST_SECRET: usize = 4096;

/// Characters of an id that the log shows: anybody can send one.
const SHOWN: usize = 64;

/// The answer to a callback that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackRefusal {
    /// HTTP status.
    pub status: u16,
    /// Plain-text body.
    pub text: &'static str,
}

#[derive(Deserialize)]
struct CallbackBody {
    id: String,
    secret: Zeroizing<String>,
    organization_id: Option<String>,
}

impl Registration {
    /// `POST /internal/v1/registrations`. The answer to one that is taken is 200 `{"ok":true}`.
    ///
    /// # Errors
    /// With what to answer otherwise.
    pub fn callback(&self, body: &[u8]) -> Result<(), CallbackRefusal> {
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
        let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
        let (id, organization_id) = (shown(&id), organization_id.as_deref().map(shown));
        tracing::info!(id, organization_id, secret_len = secret.len(), "Received registration callback");
        self.hint();
        Ok(())
    }

    /// `GET /health`, which DDS uses to look after its nodes.
    pub fn touch_healthcheck(&self, user_agent: Option<&str>) {
        let user_agent = user_agent.unwrap_or_default();
        if user_agent.starts_with("DDS v") {
            self.shared().healthcheck.send_replace(Some(Instant::now()));
            tracing::debug!(event = "healthcheck.touch", user_agent);
        } else {
            let user_agent: String = user_agent.chars().take(SHOWN).collect();
            tracing::debug!(event = "healthcheck.skip", user_agent);
        }
    }

    /// When DDS last looked.
    pub fn last_healthcheck(&self) -> Option<Instant> {
        *self.shared().healthcheck.borrow()
    }
}
