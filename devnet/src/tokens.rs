//! Bearer tokens. They have the three parts and the claims of the real ones, but what they grant is
//! looked up here: the signature part is random and stands for the whole.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Clock;

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// A node's machine token, for DMS.
    Node(Uuid),
    /// A robot's machine token, for DMS.
    Robot(Uuid),
    /// A task token, for one domain.
    Task { task: Uuid, domain: Uuid },
    /// An application's token, for DDS, the job API and every domain.
    App,
    /// An application's token for one domain.
    Domain(Uuid),
}

/// A token that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires: Instant,
}

#[derive(Debug)]
struct Entry {
    grant: Grant,
    /// The end of its life; earlier than at first when it was replaced or revoked.
    expires: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Tokens {
    entries: Mutex<HashMap<String, Entry>>,
}

/// How long an expired token is remembered, so that records can tell what it was.
const REMEMBERED: Duration = Duration::from_secs(3600);

impl Tokens {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a token with these claims (an object), to which times and an id are added.
    pub(crate) fn issue(&self, clock: &Clock, grant: Grant, ttl: Duration, mut claims: Value) -> Issued {
        let expires = Instant::now() + ttl;
        if let Value::Object(claims) = &mut claims {
            let expires_at = clock.date_of(expires);
            let whole = expires_at.unix_timestamp() + i64::from(expires_at.nanosecond() > 0);
            claims.insert("iat".into(), json!(clock.now().unix_timestamp()));
            claims.insert("exp".into(), json!(whole));
            claims.insert("jti".into(), json!(Uuid::new_v4()));
        }
        let header = json!({"alg": "ES256", "kid": "devnet", "typ": "JWT"}).to_string();
        let mut signature = [0; 64];
        for (to, id) in signature.chunks_mut(16).zip(std::iter::repeat_with(Uuid::new_v4)) {
            to.copy_from_slice(id.as_bytes());
        }
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let token =
            [part(header.as_bytes()), part(claims.to_string().as_bytes()), part(&signature)].join(".");
        self.entries().insert(token.clone(), Entry { grant, expires });
        Issued { token, expires }
    }

    /// What a token grants now.
    pub(crate) fn check(&self, token: &str) -> Option<Grant> {
        let entries = self.entries();
        let entry = entries.get(token)?;
        (entry.expires > Instant::now()).then_some(entry.grant)
    }

    /// What a token grants or granted, and whether it still does.
    pub(crate) fn recall(&self, token: &str) -> Option<(Grant, bool)> {
        let entries = self.entries();
        let entry = entries.get(token)?;
        Some((entry.grant, entry.expires > Instant::now()))
    }

    /// All tokens that are remembered, with what they are.
    pub(crate) fn all(&self) -> Vec<(&'static str, String)> {
        let kind = |entry: &Entry| match entry.grant {
            Grant::Node(_) | Grant::Robot(_) => "machine token",
            Grant::Task { .. } => "task token",
            Grant::App => "application token",
            Grant::Domain(_) => "domain token",
        };
        self.entries().iter().map(|(token, entry)| (kind(entry), token.clone())).collect()
    }

    /// Ends a token's life after `overlap`, if it does not end earlier.
    pub(crate) fn retire(&self, token: &str, overlap: Duration) {
        if let Some(entry) = self.entries().get_mut(token) {
            entry.expires = entry.expires.min(Instant::now() + overlap);
        }
    }

    /// Ends the lives of all tokens with such grants.
    pub(crate) fn revoke(&self, matches: impl Fn(Grant) -> bool) {
        let now = Instant::now();
        for entry in self.entries().values_mut().filter(|entry| matches(entry.grant)) {
            entry.expires = entry.expires.min(now);
        }
    }

    /// Forgets tokens that expired long ago.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.entries().retain(|_, entry| now.saturating_duration_since(entry.expires) < REMEMBERED);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_like_jwts_and_end_when_told() {
        let (tokens, clock) = (Tokens::default(), Clock::new(0));
        let id = Uuid::new_v4();
        let issued = tokens.issue(&clock, Grant::Node(id), Duration::from_secs(60), json!({"iss": "dds"}));
        let parts: Vec<&str> = issued.token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims["iss"], "dds");
        assert!(claims["exp"].as_i64().unwrap() >= claims["iat"].as_i64().unwrap() + 60);

        assert_eq!(tokens.check(&issued.token), Some(Grant::Node(id)));
        tokens.retire(&issued.token, Duration::ZERO);
        assert_eq!(tokens.check(&issued.token), None);
        assert_eq!(tokens.recall(&issued.token), Some((Grant::Node(id), false)));
    }
}
