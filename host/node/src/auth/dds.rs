//! The client of the discovery service (protocol 1.2, 1.4, 1.7 and 1.9).

mod error;
mod wire;

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use url::Url;

use crate::auth::login::MachineToken;
use crate::auth::siwe::Challenge;
use posemesh_net::clock::server_date;
use posemesh_net::http::{MAX_JSON_BODY, bearer, cause, client_builder, read_body, start_of_body};
use posemesh_net::json::{self, JsonError, Timestamp};
use posemesh_net::meter::{self, Peer};
use posemesh_net::retry::retry_after;
use posemesh_net::secret::Secret;
use posemesh_net::url::join;
use posemesh_text::excerpt;
use wire::{
    NonceAnswer, NonceBody, RegisterRobotBody, RegisterWalletBody, RobotAnswer, VerifyAnswer, VerifyBody,
    VerifyRobotBody,
};

pub(crate) use error::{DdsCall, DdsError};

/// The base URL of the production DDS.
pub(crate) const DEFAULT_BASE_URL: &str = "https://dds.auki.network";

/// How many bytes of an error body are read to make an excerpt.
const EXCERPT_SOURCE_BYTES: usize = 4096;

/// The longest `Retry-After` that is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The client for all calls of a node to DDS: connections are reused, and every call has a timeout.
#[derive(Debug, Clone)]
pub(crate) struct DdsClient {
    base: Url,
    client: reqwest::Client,
}

impl DdsClient {
    /// A client for the DDS at `base`; `timeout` holds for the whole of one call.
    ///
    /// # Errors
    /// When the TLS set-up fails.
    pub(crate) fn new(base: Url, timeout: Duration) -> Result<Self, DdsError> {
        let client =
            client_builder().timeout(timeout).build().map_err(|error| DdsError::Setup(cause(&error)))?;
        Ok(Self { base, client })
    }

    /// The base URL of the DDS that this client calls.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Asks for a nonce (protocol 1.2). Says nothing yet about whether it should be signed.
    ///
    /// # Errors
    /// See [`DdsError`]; a missing or empty nonce and any other missing field are `Answer`.
    pub(crate) async fn nonce(&self, address: &str) -> Result<Challenge, DdsError> {
        let call = DdsCall::Nonce;
        let (answer, _) = self.answer::<_, NonceAnswer>(call, &NonceBody { wallet: address }, &[]).await?;
        if answer.nonce.is_empty() {
            return Err(answer_error(call, &JsonError::Missing("nonce".to_owned())));
        }
        Ok(answer.into())
    }

    /// Logs in with a signed message (protocol 1.7).
    ///
    /// # Errors
    /// See [`DdsError`].
    pub(crate) async fn verify(
        &self,
        address: &str,
        message: &str,
        signature: &str,
    ) -> Result<MachineToken, DdsError> {
        let call = DdsCall::Verify;
        let body = VerifyBody { address, message, signature };
        let (answer, server_date) = self.answer::<_, VerifyAnswer>(call, &body, &[signature]).await?;
        let Some(Timestamp(expires_at)) = answer.access_expires_at.or(answer.expires_at) else {
            return Err(answer_error(call, &JsonError::Missing("access_expires_at".to_owned())));
        };
        machine_token(call, answer.access_token, expires_at, server_date)
    }

    /// Registers the wallet (protocol 1.4). The body of a 2xx is ignored.
    ///
    /// # Errors
    /// See [`DdsError`].
    pub(crate) async fn register_wallet(
        &self,
        message: &str,
        signature: &str,
        credentials: &Secret,
        capabilities: &[String],
        version: &str,
    ) -> Result<(), DdsError> {
        let registration_credentials = credentials.expose();
        let body = RegisterWalletBody { message, signature, registration_credentials, capabilities, version };
        // An error body may echo the request, and excerpts of it reach the log.
        let secrets = [registration_credentials, signature];
        self.send(DdsCall::RegisterWallet, &body, Some(&secrets)).await.map(drop)
    }

    /// Registers a robot, which logs it in as well (protocol 1.9).
    ///
    /// # Errors
    /// See [`DdsError`]; no body is ever read into one.
    pub(crate) async fn register_robot(
        &self,
        credentials: &Secret,
        version: &str,
        capabilities: &[String],
    ) -> Result<MachineToken, DdsError> {
        let body =
            RegisterRobotBody { registration_credentials: credentials.expose(), version, capabilities };
        self.robot(DdsCall::RegisterRobot, &body).await
    }

    /// Logs a robot in (protocol 1.9).
    ///
    /// # Errors
    /// See [`DdsError`]; no body is ever read into one.
    pub(crate) async fn verify_robot(&self, credentials: &Secret) -> Result<MachineToken, DdsError> {
        let body = VerifyRobotBody { registration_credentials: credentials.expose() };
        self.robot(DdsCall::VerifyRobot, &body).await
    }

    async fn robot<B: Serialize>(&self, call: DdsCall, body: &B) -> Result<MachineToken, DdsError> {
        // The credentials are all that a robot needs to log in, so a body that may echo them is not read at all.
        let response = self.send(call, body, None).await?;
        let (answer, server_date) = read_answer::<RobotAnswer>(call, response).await?;
        if answer.robot_id.is_nil() {
            let (field, expected) = ("robot_id".to_owned(), "a UUID other than nil".to_owned());
            return Err(answer_error(call, &JsonError::Invalid { field, expected }));
        }
        machine_token(call, answer.access_token, answer.access_expires_at.0, server_date)
    }

    /// Sends, and reads the answer and the time by the server's clock.
    async fn answer<B: Serialize, A: DeserializeOwned>(
        &self,
        call: DdsCall,
        body: &B,
        secrets: &[&str],
    ) -> Result<(A, Option<OffsetDateTime>), DdsError> {
        let response = self.send(call, body, Some(secrets)).await?;
        read_answer(call, response).await
    }

    /// Sends, and returns 2xx answers. `secrets` are masked in excerpts of all others; without a list of them
    /// the body of those is not even read.
    async fn send<B: Serialize>(
        &self,
        call: DdsCall,
        body: &B,
        secrets: Option<&[&str]>,
    ) -> Result<reqwest::Response, DdsError> {
        let segments: Vec<&str> = call.path().split('/').collect();
        let body = serde_json::to_vec(body).map_err(|error| DdsError::Setup(error.to_string()))?;
        let url = join(&self.base, &segments);
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        let response = meter::send(Peer::Dds, request)
            .await
            .map_err(|error| DdsError::Transport { call, cause: cause(&error) })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers(), LONGEST_RETRY_AFTER);
        let excerpt = match secrets {
            Some(secrets) if is_plain_text(response.headers()) => {
                excerpt(&start_of_body(response, EXCERPT_SOURCE_BYTES).await, secrets)
            }
            _ => String::new(),
        };
        Err(DdsError::Status { call, status, excerpt, retry_after })
    }
}

/// Accepts a token only if it fits into a header.
fn machine_token(
    call: DdsCall,
    token: Secret,
    expires_at: OffsetDateTime,
    server_date: Option<OffsetDateTime>,
) -> Result<MachineToken, DdsError> {
    // Found here, it is a failed login that is repeated; found later, every request to DMS would fail.
    if bearer(&token).is_err() {
        let what = "the access_token of the answer can't stand in a header".to_owned();
        return Err(DdsError::Answer { call, what });
    }
    Ok(MachineToken { token, expires_at, server_date })
}

async fn read_answer<A: DeserializeOwned>(
    call: DdsCall,
    response: reqwest::Response,
) -> Result<(A, Option<OffsetDateTime>), DdsError> {
    // Reading the body consumes the response, headers included.
    let date = server_date(response.headers());
    let body = read_body(response, MAX_JSON_BODY)
        .await
        .map_err(|error| DdsError::Answer { call, what: error.to_string() })?;
    json::from_body(&body).map(|answer| (answer, date)).map_err(|error| answer_error(call, &error))
}

fn answer_error(call: DdsCall, error: &JsonError) -> DdsError {
    DdsError::Answer { call, what: error.to_string() }
}

/// Whether a body may be quoted: plain text, or no type at all. JSON and HTML pages may repeat anything.
fn is_plain_text(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

#[cfg(test)]
mod tests;
