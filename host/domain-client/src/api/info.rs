//! What domain servers say of their limits (protocol 6.7), remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;
use url::Url;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::api::wire::{self, Info, UploadInfo};

/// Time for the answer, if `first_byte_timeout` is longer: the answer only helps to choose well.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Servers that are remembered; a node meets few.
const MAX_SERVERS: usize = 64;

/// One entry per server, for all tasks of a node. Of several tasks that ask at once, one sends the request and the
/// others wait for its answer.
#[derive(Debug, Default)]
pub(crate) struct InfoCache {
    servers: Mutex<HashMap<Url, InfoEntry>>,
}

type InfoEntry = Arc<tokio::sync::Mutex<Option<CachedInfo>>>;

#[derive(Debug, Clone, Copy)]
struct CachedInfo {
    info: Option<UploadInfo>,
    expires_at: Instant,
}

impl InfoCache {
    /// What the task's server says of uploads, or `None` if it does not say. Failures are remembered as well, so
    /// that a server without this call is not asked for each artifact.
    pub(crate) async fn upload_info(&self, client: &TaskClient) -> Option<UploadInfo> {
        let url = client.server().info_url();
        let entry = self.entry(&url);
        // Held across the request: whoever asks meanwhile waits here and finds the answer.
        let mut cached = entry.lock().await;
        if let Some(cached) = cached.filter(|cached| Instant::now() < cached.expires_at) {
            return cached.info;
        }
        let settings = client.settings();
        let (info, ttl) = match fetch(client, url).await {
            Ok(info) => (Some(info), settings.info_ttl),
            // A 404 is an answer: the server has no such call, which will not change soon.
            Err(error) if error.status() == Some(404) => (None, settings.info_ttl),
            Err(error) => {
                tracing::debug!(task_id = %client.task_id(), %error, "going on without upload info");
                (None, settings.info_failure_ttl)
            }
        };
        *cached = Some(CachedInfo { info, expires_at: Instant::now() + ttl });
        info
    }

    fn entry(&self, url: &Url) -> InfoEntry {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MAX_SERVERS && !servers.contains_key(url) {
            // Simple rather than exact: what is lost costs one small request each, and a node meets few servers.
            servers.clear();
        }
        Arc::clone(servers.entry(url.clone()).or_default())
    }
}

async fn fetch(client: &TaskClient, url: Url) -> Result<UploadInfo, DomainError> {
    const WHAT: &str = "asking for upload limits";
    let timeout = client.settings().first_byte_timeout.min(TIMEOUT);
    let call =
        ApiCall::new(WHAT, Method::GET, url).unauthorised().max_attempts(2).first_byte_timeout(timeout);
    let body = client.fetch(&call).await?;
    Ok(wire::decode::<Info>(WHAT, &body)?.upload)
}
