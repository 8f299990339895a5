//! The bodies of requests to DDS and of its answers, and nothing that leaves its client.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::siwe::Challenge;
use posemesh_net::json::{Timestamp, blank_is_absent, lenient};
use posemesh_net::secret::Secret;

/// Protocol 1.2.
#[derive(Serialize)]
pub(super) struct NonceBody<'a> {
    pub(super) wallet: &'a str,
}

/// Protocol 1.7.
#[derive(Serialize)]
pub(super) struct VerifyBody<'a> {
    pub(super) address: &'a str,
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

/// Protocol 1.4.
#[derive(Serialize)]
pub(super) struct RegisterWalletBody<'a> {
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
    pub(super) registration_credentials: &'a str,
    pub(super) capabilities: &'a [String],
    pub(super) version: &'a str,
}

/// Protocol 1.9.
#[derive(Serialize)]
pub(super) struct RegisterRobotBody<'a> {
    pub(super) registration_credentials: &'a str,
    pub(super) version: &'a str,
    pub(super) capabilities: &'a [String],
}

/// Protocol 1.9.
#[derive(Serialize)]
pub(super) struct VerifyRobotBody<'a> {
    pub(super) registration_credentials: &'a str,
}

/// Protocol 1.2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NonceAnswer {
    pub(super) nonce: String,
    domain: String,
    uri: String,
    version: String,
    chain_id: i64,
    issued_at: String,
}

impl From<NonceAnswer> for Challenge {
    fn from(answer: NonceAnswer) -> Self {
        let NonceAnswer { nonce, domain, uri, version, chain_id, issued_at } = answer;
        Self { nonce, domain, uri, version, chain_id, issued_at }
    }
}

/// Protocol 1.7. Of two spellings of the expiry the first counts, whatever the second holds.
#[derive(Deserialize)]
pub(super) struct VerifyAnswer {
    pub(super) access_token: Secret,
    #[serde(default, deserialize_with = "blank_is_absent")]
    pub(super) access_expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) expires_at: Option<Timestamp>,
}

/// Protocol 1.9.
#[derive(Deserialize)]
pub(super) struct RobotAnswer {
    pub(super) robot_id: Uuid,
    pub(super) access_token: Secret,
    pub(super) access_expires_at: Timestamp,
}
