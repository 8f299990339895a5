//! What domain servers say of themselves (protocol 6.7), remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;
use url::Url;

use super::access::Access;
use super::call::Call;
use super::error::StorageError;
use super::wire::{self, Info, UploadInfo};

/// How long a server may think about its limits.
const PATIENCE: Duration = Duration::from_secs(10);
/// Servers that are remembered; a node meets few.
const MAX_SERVERS: usize = 64;

/// One entry a server. Whoever asks first makes the request; the others wait for its answer.
#[derive(Debug, Default)]
pub(super) struct InfoCache {
    servers: Mutex<HashMap<Url, Entry>>,
}

type Entry = Arc<tokio::sync::Mutex<Option<Known>>>;

#[derive(Debug, Clone, Copy)]
struct Known {
    info: Option<UploadInfo>,
    until: Instant,
}

impl InfoCache {
    /// The upload info at this URL, or none if the server has none to give. Failures are remembered as
    /// well, for a shorter time.
    pub async fn get(&self, access: &Access, url: Url) -> Option<UploadInfo> {
        let entry = self.entry(&url);
        let mut known = entry.lock().await;
        if let Some(known) = known.filter(|known| Instant::now() < known.until) {
            return known.info;
        }
        let settings = access.settings();
        let (info, ttl) = match fetch(access, url).await {
            Ok(info) => (Some(info), settings.info_ttl),
            Err(error) if error.status() == Some(404) => (None, settings.info_ttl),
            Err(error) => {
                tracing::debug!(task_id = %access.task_id(), %error, "going on without upload info");
                (None, settings.info_failure_ttl)
            }
        };
        *known = Some(Known { info, until: Instant::now() + ttl });
        info
    }

    fn entry(&self, url: &Url) -> Entry {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MAX_SERVERS && !servers.contains_key(url) {
            servers.clear();
        }
        Arc::clone(servers.entry(url.clone()).or_default())
    }
}

async fn fetch(access: &Access, url: Url) -> Result<UploadInfo, StorageError> {
    const WHAT: &str = "asking for upload limits";
    // It only helps to choose well: a second try is enough, and a short wait.
    let patience = access.settings().first_byte_timeout.min(PATIENCE);
    let call = Call::new(WHAT, Method::GET, url).unauthorised().at_most(2).patience(patience);
    let body = access.fetch(&call).await?;
    Ok(wire::decode::<Info>(WHAT, &body)?.upload)
}
