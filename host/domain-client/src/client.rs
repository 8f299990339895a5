//! What a node keeps between tasks for domain servers: connections, what they said of themselves, and
//! what is still to be cleaned up.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::access::Access;
use super::error::StorageError;
use super::info::InfoCache;
use super::input::DomainInputs;
use super::output::DomainOutputs;
use super::settings::StorageSettings;
use super::token::TaskToken;
use super::traffic::Traffic;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{InputPort, OutputPort};

/// The client of domain servers, one a node.
#[derive(Debug)]
pub struct DomainClient {
    pub(super) settings: StorageSettings,
    pub(super) http: reqwest::Client,
    pub(super) client_id: HeaderValue,
    pub(super) info: InfoCache,
    /// Work that outlives the call that began it: upload sessions that are being given up.
    pub(super) tracker: TaskTracker,
}

/// What a lease says of the domain that its task works on.
#[derive(Debug, Clone)]
pub struct TaskDomain {
    /// The domain server (`domain_server_url`). Every request goes there.
    pub base_url: Url,
    /// The domain.
    pub domain_id: Uuid,
    /// The task token, which heartbeats rotate.
    pub token: Arc<TaskToken>,
    /// The task, for names and logs.
    pub task_id: Uuid,
    /// What is put before every artifact's path.
    pub outputs_prefix: Option<String>,
    /// Bytes that the task may write over all artifacts, aborted ones included.
    pub max_output_bytes: u64,
    /// The task's private directory, for what has to wait before it can be sent and is too large for
    /// memory.
    pub disk: TaskDisk,
    /// Fires when the task is to stop: whatever waits in a port then ends with
    /// [`posemesh_runner_api::ports::PortError::cancelled()`].
    pub stop: CancellationToken,
}

/// The ports of one task.
#[derive(Clone)]
pub struct TaskStorage {
    /// Where its inputs come from.
    pub inputs: Arc<dyn InputPort>,
    /// Where its artifacts go.
    pub outputs: Arc<dyn OutputPort>,
    /// What was moved, counted as it passes.
    pub traffic: Arc<Traffic>,
}

impl DomainClient {
    /// A client with these settings.
    ///
    /// # Errors
    /// When a setting can't work: a client id that is no header value, a size or number of 0.
    pub fn new(settings: StorageSettings) -> Result<Self, StorageError> {
        let client_id = HeaderValue::from_str(&settings.client_id)
            .ok()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| StorageError::Settings("the client id can't be sent in a header".to_owned()))?;
        let positive = [
            ("upload_parallelism", settings.upload_parallelism),
            ("max_input_parts", settings.max_input_parts),
            ("buffer_bytes", usize::try_from(settings.buffer_bytes).unwrap_or(0)),
            ("max_part_size", usize::try_from(settings.max_part_size).unwrap_or(0)),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(StorageError::Settings(format!("{name} is 0 or too large")));
        }
        let http = posemesh_net::http::client_builder()
            .connect_timeout(settings.connect_timeout)
            .build()
            .map_err(|error| StorageError::Settings(posemesh_net::http::cause(&error)))?;
        let info = InfoCache::default();
        Ok(Self { settings, http, client_id, info, tracker: TaskTracker::new() })
    }

    /// The ports of a task.
    pub fn for_task(self: &Arc<Self>, lease: TaskDomain) -> TaskStorage {
        let access = Arc::new(Access::new(Arc::clone(self), lease));
        TaskStorage {
            traffic: Arc::clone(access.traffic()),
            inputs: Arc::new(DomainInputs::new(Arc::clone(&access))),
            outputs: Arc::new(DomainOutputs::new(access)),
        }
    }

    /// Waits until the upload sessions that were begun and not finished have been given up at their
    /// servers, at most half a minute. Call it when no task is running any more.
    pub async fn close(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
