//! The client of the discovery service (protocol 1.2, 1.4, 1.7 and 1.9).

mod error;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

pub use error::{DdsCall, DdsError};

use super::excerpt::excerpt;
use super::login::Session;
use super::siwe::Challenge;
use crate::clock::server_date;
use crate::http::{self as node_http, MAX_JSON_BODY, cause, read_body};
use crate::json::{JsonError, Object};
use crate::secret::Secret;

/// One client for all calls of the process: connections are reused, and every call has a timeout.
#[derive(Debug, Clone)]
pub struct DdsClient {
    base: Url,
    client: reqwest::Client,
}

#[derive(Serialize)]
struct NonceBody<'a> {
    wallet: &'a str,
}

#[derive(Serialize)]
struct VerifyBody<'a> {
    address: &'a str,
    message: &'a str,
    signature: &'a str,
}

#[derive(Serialize)]
struct RegisterWalletBody<'a> {
    message: &'a str,
    signature: &'a str,
    registration_credentials: &'a str,
    capabilities: &'a [String],
    version: &'a str,
}

#[derive(Serialize)]
struct RegisterRobotBody<'a> {
    registration_credentials: &'a str,
    version: &'a str,
    capabilities: &'a [String],
}

#[derive(Serialize)]
struct VerifyRobotBody<'a> {
    registration_credentials: &'a str,
}

impl DdsClient {
    /// A client for the DDS at `base`; `timeout` holds for the whole of one call.
    ///
    /// # Errors
    /// When the TLS set-up fails.
    pub fn new(base: Url, timeout: Duration) -> Result<Self, DdsError> {
        let client = node_http::client_builder()
            .timeout(timeout)
            .build()
            .map_err(|error| DdsError::Setup(cause(&error)))?;
        Ok(Self { base, client })
    }

    /// The DDS that is talked to.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Asks for a nonce (protocol 1.2). Says nothing yet about whether it should be signed.
    ///
    /// # Errors
    /// See [`DdsError`]; a missing or empty nonce and any other missing field are `Answer`.
    pub async fn nonce(&self, address: &str) -> Result<Challenge, DdsError> {
        let call = DdsCall::Nonce;
        let (mut answer, _) = self.object(call, &NonceBody { wallet: address }, &[]).await?;
        read_challenge(&mut answer).map_err(|error| answer_error(call, &error))
    }

    /// Logs in with a signed message (protocol 1.7).
    ///
    /// # Errors
    /// See [`DdsError`].
    pub async fn verify(&self, address: &str, message: &str, signature: &str) -> Result<Session, DdsError> {
        let call = DdsCall::Verify;
        let body = VerifyBody { address, message, signature };
        let (mut answer, date) = self.object(call, &body, &[signature]).await?;
        let read = || -> Result<Session, JsonError> {
            let token: Secret = answer.require("access_token")?;
            let preferred: Option<OffsetDateTime> = answer.take("access_expires_at")?;
            let expires_at = match preferred {
                Some(expires_at) => expires_at,
                None => answer.take("expires_at")?.ok_or(JsonError::Missing("access_expires_at"))?,
            };
            Ok(Session { token, expires_at, server_date: date })
        };
        session(call, read)
    }

    /// Registers the wallet (protocol 1.4). The body of a 2xx is ignored.
    ///
    /// # Errors
    /// See [`DdsError`].
    pub async fn register_wallet(
        &self,
        message: &str,
        signature: &str,
        credentials: &Secret,
        capabilities: &[String],
        version: &str,
    ) -> Result<(), DdsError> {
        let registration_credentials = credentials.expose();
        let body = RegisterWalletBody { message, signature, registration_credentials, capabilities, version };
        let secrets = [registration_credentials, signature];
        self.send(DdsCall::RegisterWallet, &body, Some(&secrets)).await.map(drop)
    }

    /// Registers a robot, which logs it in as well (protocol 1.9).
    ///
    /// # Errors
    /// See [`DdsError`]; no body is ever read into one.
    pub async fn register_robot(
        &self,
        credentials: &Secret,
        version: &str,
        capabilities: &[String],
    ) -> Result<Session, DdsError> {
        let body =
            RegisterRobotBody { registration_credentials: credentials.expose(), version, capabilities };
        self.robot(DdsCall::RegisterRobot, &body).await
    }

    /// Logs a robot in (protocol 1.9).
    ///
    /// # Errors
    /// See [`DdsError`]; no body is ever read into one.
    pub async fn verify_robot(&self, credentials: &Secret) -> Result<Session, DdsError> {
        let body = VerifyRobotBody { registration_credentials: credentials.expose() };
        self.robot(DdsCall::VerifyRobot, &body).await
    }

    async fn robot<B: Serialize>(&self, call: DdsCall, body: &B) -> Result<Session, DdsError> {
        let response = self.send(call, body, None).await?;
        let (mut answer, date) = read_object(call, response).await?;
        session(call, || {
            let robot_id: Uuid = answer.require("robot_id")?;
            if robot_id.is_nil() {
                return Err(JsonError::Invalid { field: "robot_id", expected: "a UUID other than nil" });
            }
            Ok(Session {
                token: answer.require("access_token")?,
                expires_at: answer.require("access_expires_at")?,
                server_date: date,
            })
        })
    }

    async fn object<B: Serialize>(
        &self,
        call: DdsCall,
        body: &B,
        secrets: &[&str],
    ) -> Result<(Object, Option<OffsetDateTime>), DdsError> {
        let response = self.send(call, body, Some(secrets)).await?;
        read_object(call, response).await
    }

    /// Sends, and gives 2xx answers back. `secrets` are masked in excerpts of others; with none the
    /// body of those is not even read.
    async fn send<B: Serialize>(
        &self,
        call: DdsCall,
        body: &B,
        secrets: Option<&[&str]>,
    ) -> Result<reqwest::Response, DdsError> {
        let segments: Vec<&str> = call.path().split('/').collect();
        let body = serde_json::to_vec(body).map_err(|error| DdsError::Setup(error.to_string()))?;
        let response = self
            .client
            .post(node_http::join(&self.base, &segments))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| DdsError::Transport { call, cause: cause(&error) })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let excerpt = match secrets {
            Some(secrets) if is_plain_text(response.headers()) => excerpt(&start_of(response).await, secrets),
            _ => String::new(),
        };
        Err(DdsError::Status { call, status, excerpt })
    }
}

fn read_challenge(answer: &mut Object) -> Result<Challenge, JsonError> {
    let nonce: String = answer.require("nonce")?;
    if nonce.is_empty() {
        return Err(JsonError::Missing("nonce"));
    }
    Ok(Challenge {
        nonce,
        domain: answer.require("domain")?,
        uri: answer.require("uri")?,
        version: answer.require("version")?,
        chain_id: answer.require("chainId")?,
        issued_at: answer.require("issuedAt")?,
    })
}

fn session(call: DdsCall, read: impl FnOnce() -> Result<Session, JsonError>) -> Result<Session, DdsError> {
    let session = read().map_err(|error| answer_error(call, &error))?;
    if HeaderValue::from_str(session.token.expose()).is_err() {
        let what = "the access_token of the answer can't stand in a header".to_owned();
        return Err(DdsError::Answer { call, what });
    }
    Ok(session)
}

async fn read_object(
    call: DdsCall,
    response: reqwest::Response,
) -> Result<(Object, Option<OffsetDateTime>), DdsError> {
    let date = server_date(response.headers());
    let body = read_body(response, MAX_JSON_BODY)
        .await
        .map_err(|error| DdsError::Answer { call, what: error.to_string() })?;
    Object::parse(&body).map(|object| (object, date)).map_err(|error| answer_error(call, &error))
}

fn answer_error(call: DdsCall, error: &JsonError) -> DdsError {
    DdsError::Answer { call, what: error.to_string() }
}

/// Plain text, or nothing said; JSON and pages may quote anything.
fn is_plain_text(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// The start of a body, as far as it comes; the rest is not read.
async fn start_of(mut response: reqwest::Response) -> Vec<u8> {
    const ENOUGH: usize = 4096;
    let mut start = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        start.extend_from_slice(&chunk);
        if start.len() >= ENOUGH {
            start.truncate(ENOUGH);
            break;
        }
    }
    start
}
