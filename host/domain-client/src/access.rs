//! One task's way to its domain: where, with which token, until when.

use std::future::Future;
use std::sync::Arc;

use posemesh_domain_data::cid::Query;
use reqwest::Method;
use reqwest::header::HeaderValue;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::buffer::PERMIT;
use super::call::Call;
use super::client::{DomainClient, TaskDomain};
use super::error::StorageError;
use super::settings::StorageSettings;
use super::token::TaskToken;
use super::traffic::Traffic;
use super::wire::UploadInfo;

/// What every request of a task needs.
#[derive(Debug)]
pub(super) struct Access {
    pub client: Arc<DomainClient>,
    pub lease: TaskDomain,
    /// The parts of upload sessions that may be in flight.
    pub upload_slots: Arc<Semaphore>,
    /// Inputs that may still be opened.
    pub open_inputs: Arc<Semaphore>,
    /// Artifacts that may still be opened.
    pub open_artifacts: Arc<Semaphore>,
    /// Pieces of inputs that may wait for the runner, beyond one an input.
    pub read_ahead: Arc<Semaphore>,
    /// The memory that may wait to be sent, in units of [`PERMIT`].
    pub upload_memory: Arc<Semaphore>,
    /// Upload sessions of the task that are being given up.
    pub given_up: TaskTracker,
    traffic: Arc<Traffic>,
    /// Why the lease's server must not be talked to, if so.
    refused: Option<StorageError>,
}

impl Access {
    pub fn new(client: Arc<DomainClient>, lease: TaskDomain) -> Self {
        let refused = refusal(&lease.base_url, client.settings.allow_plain_http);
        let some = |number| Arc::new(Semaphore::new(number));
        let upload_slots = some(client.settings.upload_parallelism);
        let (open_inputs, open_artifacts) =
            (some(client.settings.max_open_inputs), some(client.settings.max_open_artifacts));
        let upload_memory = some(client.settings.upload_memory / PERMIT);
        let read_ahead = some(client.settings.read_ahead);
        let given_up = TaskTracker::new();
        let traffic = Arc::default();
        Self {
            client,
            lease,
            upload_slots,
            open_inputs,
            open_artifacts,
            read_ahead,
            upload_memory,
            given_up,
            traffic,
            refused,
        }
    }

    pub fn settings(&self) -> &StorageSettings {
        &self.client.settings
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.client.http
    }

    pub fn client_id(&self) -> &HeaderValue {
        &self.client.client_id
    }

    pub fn token(&self) -> &TaskToken {
        &self.lease.token
    }

    pub fn task_id(&self) -> Uuid {
        self.lease.task_id
    }

    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub fn check_server(&self) -> Result<(), StorageError> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Does something for the runner, unless or until the task is to stop.
    pub async fn until_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        tokio::select! {
            biased;
            () = self.lease.stop.cancelled() => Err(StorageError::Cancelled),
            result = work => result,
        }
    }

    /// `/api/v1/domains/{D}/data`.
    pub fn data_url(&self) -> Url {
        let domain = self.lease.domain_id.to_string();
        self.url(&["api", "v1", "domains", &domain, "data"])
    }

    /// `/api/v1/domains/{D}/data/multipart` with a query.
    pub fn session_url(&self, query: &str) -> Url {
        let domain = self.lease.domain_id.to_string();
        let mut url = self.url(&["api", "v1", "domains", &domain, "data", "multipart"]);
        url.set_query(Some(query));
        url
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = posemesh_net::url::join(&self.lease.base_url, segments);
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    /// The call that downloads what a query names (protocol 6.2).
    pub fn download(&self, query: &Query) -> Call {
        let mut url = self.data_url();
        url.set_query(query.to_query_string().as_deref());
        Call::new("downloading an input", Method::GET, url).accept("multipart/form-data")
    }

    /// How the server takes uploads, if it says (protocol 6.7).
    pub async fn upload_info(&self) -> Option<UploadInfo> {
        self.client.info.get(self, self.url(&["api", "v1", "info"])).await
    }
}

/// Why a domain server's URL is not acceptable, if it isn't.
fn refusal(base: &Url, allow_plain_http: bool) -> Option<StorageError> {
    let why = if base.host().is_none() {
        "its URL has no host"
    } else if !base.username().is_empty() || base.password().is_some() {
        "its URL has a user name or password in it"
    } else {
        match base.scheme() {
            "https" => return None,
            "http" if allow_plain_http || posemesh_net::url::is_loopback(base) => return None,
            "http" => "plain http would show the task token to the network; https is needed",
            _ => "its URL is neither https nor http",
        }
    };
    Some(StorageError::ServerRefused(why.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only_unless_allowed() {
        let refused = |url: &str, allow| refusal(&Url::parse(url).unwrap(), allow).is_some();
        for url in ["https://ds.example", "http://127.0.0.1:1", "http://[::1]", "http://localhost:8080/x"] {
            assert!(!refused(url, false), "{url}");
        }
        for url in ["http://ds.example", "http://10.0.0.1", "http://localhost.example"] {
            assert!(refused(url, false), "{url}");
            assert!(!refused(url, true), "{url} with the operator's leave");
        }
        for url in ["https://me@ds.example", "ftp://ds.example", "data:text/plain,x"] {
            assert!(refused(url, true), "{url}");
        }
    }
}
