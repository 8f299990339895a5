//! What a node keeps between tasks for domain servers: connections, what servers said of their limits, and aborts
//! that are still under way.

use std::sync::Arc;

use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{InputPort, OutputPort};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use crate::api::error::DomainError;
use crate::api::http::DomainHttp;
use crate::api::info::InfoCache;
use crate::api::server::{TaskServer, refusal};
use crate::api::task_client::TaskClient;
use crate::api::token::TaskToken;
use crate::inputs::DomainInputs;
use crate::outputs::DomainOutputs;
use crate::servers::Servers;
use crate::settings::DomainSettings;
use crate::traffic::Traffic;
use crate::upload::aborts::AbortTracker;
use crate::upload::budget::UploadBudget;
use crate::upload::context::UploadContext;
use crate::upload::index::ArtifactIndex;

/// The client of domain servers, one per node.
#[derive(Debug)]
pub struct DomainClient {
    settings: DomainSettings,
    http: Arc<DomainHttp>,
    info: Arc<InfoCache>,
    servers: Servers,
    aborts: TaskTracker,
}

/// What a lease says of the domain that its task works on.
#[derive(Debug, Clone)]
pub struct TaskDomain {
    /// The domain server (`domain_server_url`). Every request of the task goes there.
    pub base_url: Url,
    /// The domain that the task works on.
    pub domain_id: Uuid,
    /// The task token, which heartbeats rotate.
    pub token: Arc<TaskToken>,
    /// The task, for names of artifacts and for logs.
    pub task_id: Uuid,
    /// The task's inputs, in their order: some may be fetched before the runner asks for them.
    pub inputs_cids: Vec<String>,
    /// The prefix of every artifact's path.
    pub outputs_prefix: Option<String>,
    /// The task's private directory, for what has to wait before it can be sent and is too large for memory.
    pub disk: TaskDisk,
    /// Fires when the task is to stop: whatever waits in a port then ends with
    /// [`Cancelled`](posemesh_runner_api::ports::PortErrorKind::Cancelled).
    pub stop: CancellationToken,
}

/// The ports of one task.
#[derive(Clone)]
pub struct DomainPorts {
    /// Opens the task's inputs.
    pub inputs: Arc<dyn InputPort>,
    /// Stores the task's artifacts.
    pub outputs: Arc<dyn OutputPort>,
    /// Counts what passes through both.
    pub traffic: Arc<Traffic>,
}

impl DomainClient {
    /// Makes a client.
    ///
    /// # Errors
    /// [`DomainError::Settings`] when a setting can't work: a client id that is no header value, a size or number
    /// of 0.
    pub fn new(settings: DomainSettings) -> Result<Self, DomainError> {
        let (downloads, uploads) = (&settings.downloads, &settings.uploads);
        let positive = [
            ("uploads.parallelism", uploads.parallelism),
            ("downloads.max_parts", downloads.max_parts),
            ("uploads.buffer_bytes", usize::try_from(uploads.buffer_bytes).unwrap_or(0)),
            ("uploads.max_part_size", usize::try_from(uploads.max_part_size).unwrap_or(0)),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(DomainError::Settings(format!("{name} is 0 or too large")));
        }
        let http = Arc::new(DomainHttp::new(&settings.client_id, settings.requests.clone())?);
        Ok(Self {
            settings,
            http,
            info: Arc::default(),
            servers: Servers::default(),
            aborts: TaskTracker::new(),
        })
    }

    /// Why no request would be made to a domain server at this URL; none if it can be used.
    pub fn refusal(&self, base_url: &Url) -> Option<&'static str> {
        refusal(base_url, self.settings.allow_plain_http)
    }

    /// Makes the ports of a task. Sends nothing: a domain that can't be used shows when a port is used.
    pub fn for_task(&self, domain: TaskDomain) -> DomainPorts {
        let TaskDomain { base_url, domain_id, token, task_id, inputs_cids, outputs_prefix, disk, stop } =
            domain;
        let server = TaskServer::new(base_url, domain_id, self.settings.allow_plain_http);
        let servers = self.servers.clone();
        let client = Arc::new(TaskClient::new(Arc::clone(&self.http), server, token, task_id, servers));
        let downloads = self.settings.downloads.clone();
        let inputs = DomainInputs::new(Arc::clone(&client), downloads, inputs_cids, stop.clone());
        let uploads = UploadContext {
            client: Arc::clone(&client),
            info: Arc::clone(&self.info),
            settings: self.settings.uploads.clone(),
            budget: Arc::new(UploadBudget::new(&self.settings.uploads, disk)),
            index: ArtifactIndex::new(task_id, outputs_prefix),
            aborts: AbortTracker::new(self.aborts.clone()),
        };
        DomainPorts {
            inputs: Arc::new(inputs),
            outputs: Arc::new(DomainOutputs::new(uploads, stop)),
            traffic: Arc::clone(client.traffic()),
        }
    }

    /// Which domain servers are in trouble.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Waits until the upload sessions that were begun and not completed are aborted at their servers, at most half a
    /// minute. Call it when no task is running any more.
    pub async fn close(&self) {
        self.aborts.close();
        self.aborts.wait().await;
    }
}
