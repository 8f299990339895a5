//! Bearer tokens. They have the three parts and the claims of the real JWTs, because clients may read the
//! claims; but what a token grants is looked up here, so its signature part is merely random.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::ServerClock;

/// How long an expired token is remembered, so that records of requests can still name its kind.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Who or what a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenGrant {
    /// The machine token of a node, for DMS.
    Node(Uuid),
    /// The machine token of a robot, for DMS.
    Robot(Uuid),
    /// A task token, for the data of one domain.
    Task { task: Uuid, domain: Uuid },
    /// The token of an application, for DDS, the job API and the data of every domain.
    App,
    /// The token of an application for the data of one domain.
    Domain(Uuid),
}

/// A new token.
#[derive(Debug, Clone)]
pub(crate) struct IssuedToken {
    pub(crate) token: String,
    pub(crate) expires: Instant,
}

#[derive(Debug)]
struct TokenEntry {
    grant: TokenGrant,
    /// Set to an earlier moment when the token is replaced or revoked.
    expires: Instant,
}

/// The tokens of all servers.
#[derive(Debug, Default)]
pub(crate) struct TokenTable {
    entries: Mutex<HashMap<String, TokenEntry>>,
}

impl TokenTable {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, TokenEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a token with these claims (a JSON object), to which `iat`, `exp` and `jti` are added.
    pub(crate) fn issue(
        &self,
        clock: &ServerClock,
        grant: TokenGrant,
        ttl: Duration,
        mut claims: Value,
    ) -> IssuedToken {
        let expires = Instant::now() + ttl;
        if let Value::Object(claims) = &mut claims {
            // `exp` has whole seconds; rounding down would shorten the lifetime that clients see.
            let expires_at = clock.date_of(expires);
            let whole = expires_at.unix_timestamp() + i64::from(expires_at.nanosecond() > 0);
            claims.insert("iat".into(), json!(clock.now().unix_timestamp()));
            claims.insert("exp".into(), json!(whole));
            claims.insert("jti".into(), json!(Uuid::new_v4()));
        }
        let header = json!({"alg": "ES256", "kid": "devnet", "typ": "JWT"}).to_string();
        // An ES256 signature has 64 bytes: four random UUIDs.
        let signature: Vec<u8> = (0..4).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let token =
            [part(header.as_bytes()), part(claims.to_string().as_bytes()), part(&signature)].join(".");
        self.entries().insert(token.clone(), TokenEntry { grant, expires });
        IssuedToken { token, expires }
    }

    /// What a token grants now; none if it is unknown or expired.
    pub(crate) fn check(&self, token: &str) -> Option<TokenGrant> {
        self.recall(token).filter(|(_, valid)| *valid).map(|(grant, _)| grant)
    }

    /// What a token grants or granted, and whether it is still valid.
    pub(crate) fn recall(&self, token: &str) -> Option<(TokenGrant, bool)> {
        let entries = self.entries();
        let entry = entries.get(token)?;
        Some((entry.grant, entry.expires > Instant::now()))
    }

    /// All remembered tokens, each with a name for its kind.
    pub(crate) fn all(&self) -> Vec<(&'static str, String)> {
        let kind = |entry: &TokenEntry| match entry.grant {
            TokenGrant::Node(_) | TokenGrant::Robot(_) => "machine token",
            TokenGrant::Task { .. } => "task token",
            TokenGrant::App => "application token",
            TokenGrant::Domain(_) => "domain token",
        };
        self.entries().iter().map(|(token, entry)| (kind(entry), token.clone())).collect()
    }

    /// Expires a token after `overlap`, unless it expires earlier anyway.
    pub(crate) fn retire(&self, token: &str, overlap: Duration) {
        if let Some(entry) = self.entries().get_mut(token) {
            // An expired token must not be revived by its replacement.
            entry.expires = entry.expires.min(Instant::now() + overlap);
        }
    }

    /// Expires all tokens whose grant matches, at once.
    pub(crate) fn revoke(&self, matches: impl Fn(TokenGrant) -> bool) {
        let now = Instant::now();
        for entry in self.entries().values_mut().filter(|entry| matches(entry.grant)) {
            entry.expires = entry.expires.min(now);
        }
    }

    /// Forgets tokens that expired longer than [`REMEMBERED`] ago.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.entries().retain(|_, entry| now.saturating_duration_since(entry.expires) < REMEMBERED);
    }
}

#[cfg(test)]
mod tests;
