//! The job API of a job server (protocol 3.7), and DDS, which opens a domain (protocol 1.11).

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use posemesh_net::http::{bearer, cause, client_builder, read_body};
use posemesh_net::json::from_body;
use posemesh_net::retry::is_transient;
use posemesh_net::secret::Secret;
use posemesh_net::url::{is_private, join};
use posemesh_node_core::config::Environment;
use posemesh_text::{escaped, excerpt};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::commands::job::job_view::{Job, JobPage};
use crate::settings::SettingsArgs;

/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of the longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;
/// The network that `posemesh-node devnet` runs.
const LOCAL: &str = "http://127.0.0.1:18080";

/// Which network is given work, and by whom.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Base URL of the job server. Default: DMS_BASE_URL, or the local network's. The bearer of an application is taken
    /// from TOKEN, as `posemesh-node devnet` prints it.
    #[arg(long, value_name = "URL")]
    dms: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A client of one network, for one application.
pub(super) struct Network {
    client: Client,
    token: Secret,
    dms: Url,
    dds: Url,
    environment: Environment,
    allow_plain_http: bool,
}

/// Why a request got no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Another time it may go well.
    #[error("{0}")]
    Passing(String),
    /// It would be the same each time.
    #[error("{0}")]
    Refused(String),
}

/// What DDS says of a domain.
#[derive(Deserialize)]
pub(super) struct OpenedDomain {
    pub(super) domain_server: DomainServer,
    access_token: String,
}

#[derive(Deserialize)]
pub(super) struct DomainServer {
    pub(super) url: Url,
}

impl OpenedDomain {
    pub(super) fn token(&self) -> Secret {
        Secret::new(self.access_token.clone())
    }
}

#[derive(Deserialize)]
struct Submitted {
    job_id: Uuid,
}

impl Network {
    /// # Errors
    /// When something is not set, or the token would travel unencrypted.
    pub(super) fn new(args: &NetworkArgs) -> Result<Self> {
        let environment = args.settings.environment()?;
        let of = |name: &str| environment.get(name).map(|(value, _)| value.to_owned());
        let token = of("TOKEN").context(
            "TOKEN is not set: export the bearer of an application (`posemesh-node devnet` prints that of its network)",
        )?;
        let allow_plain_http = of("ALLOW_INSECURE_HTTP").is_some_and(|value| value == "true");
        let url = |what: &str, text: String| -> Result<Url> {
            let url: Url = text.parse().with_context(|| format!("{what}: {} is no URL", escaped(&text)))?;
            if !is_private(&url) && !allow_plain_http {
                bail!("{what}: the token would travel to {} unencrypted; use https", escaped(&text));
            }
            Ok(url)
        };
        let dms = args.dms.clone().or_else(|| of("DMS_BASE_URL")).unwrap_or_else(|| format!("{LOCAL}/v1"));
        let dds = of("DDS_BASE_URL").unwrap_or_else(|| LOCAL.to_owned());
        let (dms, dds) = (url("the job server", dms)?, url("DDS", dds)?);
        let client = client_builder().timeout(TIMEOUT).build().context("making an HTTP client")?;
        Ok(Self { client, token: Secret::new(token), dms, dds, environment, allow_plain_http })
    }

    /// The domain that is meant: this one, or `DOMAIN_ID`.
    ///
    /// # Errors
    /// When neither is given, or it is no id.
    pub(super) fn domain(&self, named: Option<Uuid>) -> Result<Uuid> {
        if let Some(domain) = named {
            return Ok(domain);
        }
        let (text, _) = self
            .environment
            .get("DOMAIN_ID")
            .context("no domain: say --domain ID, or export DOMAIN_ID (`posemesh-node devnet` prints it)")?;
        text.parse().map_err(|_| anyhow!("DOMAIN_ID={} is no UUID", escaped(text)))
    }

    pub(super) fn allow_plain_http(&self) -> bool {
        self.allow_plain_http
    }

    /// Asks DDS for access to a domain.
    pub(super) async fn open_domain(&self, domain: Uuid) -> Result<OpenedDomain, AskError> {
        let url = join(&self.dds, &["api", "v1", "domains", &domain.to_string(), "auth"]);
        self.ask(Method::POST, url, None, &format!("asking DDS for access to domain {domain}")).await
    }

    /// Submits a job, once however often it is called with the same key.
    pub(super) async fn submit(&self, job: &Value, key: Uuid) -> Result<Uuid, AskError> {
        let url = join(&self.dms, &["jobs"]);
        let submitted: Submitted =
            self.ask(Method::POST, url, Some((job, key)), "submitting the job").await?;
        Ok(submitted.job_id)
    }

    /// A job with its tasks.
    pub(super) async fn job(&self, job: Uuid) -> Result<Job, AskError> {
        self.ask(
            Method::GET,
            join(&self.dms, &["jobs", &job.to_string()]),
            None,
            &format!("looking at job {job}"),
        )
        .await
    }

    /// A page of jobs.
    pub(super) async fn jobs(&self, query: &[(&str, String)]) -> Result<JobPage, AskError> {
        let mut url = join(&self.dms, &["jobs"]);
        url.query_pairs_mut().extend_pairs(query);
        self.ask(Method::GET, url, None, "listing jobs").await
    }

    /// Cancels a job.
    pub(super) async fn cancel(&self, job: Uuid) -> Result<(), AskError> {
        let url = join(&self.dms, &["jobs", &job.to_string(), "cancel"]);
        let _: Value = self.ask(Method::POST, url, None, &format!("cancelling job {job}")).await?;
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<(&Value, Uuid)>,
        what: &str,
    ) -> Result<T, AskError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let authorization = bearer(&self.token)
            .map_err(|_| AskError::Refused("TOKEN has characters that no header can hold".to_owned()))?;
        let mut request = self.client.request(method, url).header("authorization", authorization);
        if let Some((body, key)) = body {
            request = request
                .header("content-type", "application/json")
                .header("idempotency-key", key.to_string())
                .body(body.to_string());
        }
        let answer = request
            .send()
            .await
            .map_err(|error| AskError::Passing(format!("{what} at {host}: {}", cause(&error))))?;
        let status = answer.status();
        let bytes = read_body(answer, MAX_ANSWER)
            .await
            .map_err(|error| AskError::Passing(format!("{what} at {host}: {error}")))?;
        if status.is_success() {
            return from_body(&bytes).map_err(|error| {
                AskError::Refused(format!("{what} at {host}: the answer can't be read: {error}"))
            });
        }
        let said = excerpt(&bytes, &[self.token.expose()]);
        let help = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; TOKEN is not one that it takes",
            _ => "",
        };
        let text = format!("{what} at {host}: it answered {status}: {}{help}", escaped(&said));
        Err(if is_transient(status) { AskError::Passing(text) } else { AskError::Refused(text) })
    }
}

/// Repeats a request as long as what keeps it from going well may pass, for about half a minute.
///
/// # Errors
/// The last one.
pub(super) async fn persist<T, F>(mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, AskError>>,
{
    let mut wait = Duration::from_millis(250);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(AskError::Passing(_)) if wait < Duration::from_secs(20) => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
