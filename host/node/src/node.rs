//! A whole node: the parts that the other modules make, put together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::dds::DdsError;
use crate::config::Config;
use crate::dms::DmsClient;
use crate::engine::records::{TaskRecords, Totals};
use crate::engine::settings::EngineSettings;
use crate::engine::workdir::{WorkDirError, WorkDirs};
use crate::engine::{Engine, EngineParts};
use crate::heartbeat::policy::HeartbeatPolicy;
use crate::lease::server::Lease;
use crate::lease::{LeaseSettings, Storages, TaskPorts};
use crate::registration::legacy::{LegacyError, LegacyServer};
use crate::registration::{Membership, RegistrationStatus};
use crate::shutdown::Shutdown;
use crate::status::ready::Readiness;
use crate::status::{StatusError, StatusServer, Watched};
use posemesh_domain_client::{DomainClient, StorageError, StorageSettings, TaskDomain, TaskToken};
use posemesh_net::clock::SystemClock;
use posemesh_plugin_host::cache::CacheError;
use posemesh_plugin_host::component::Loader;
use posemesh_plugin_host::registry::{Registry, RegistrySettings, Scan};
use posemesh_plugin_host::sandbox::{Sandbox, SandboxError};
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::runner::Runners as _;

/// The part size of most domain servers: so many more than the parts in flight have room in memory.
const USUAL_PART: usize = 8 << 20;

/// What `ENABLE_NOOP` is about (protocol 8).
const NOOP_CAPABILITY: &str = "/posemesh/noop/v1";

/// A node that has its runners and its directories, and has not talked to anybody yet.
pub struct Node {
    config: Config,
    registry: Arc<Registry>,
    work_dirs: Arc<WorkDirs>,
    domains: Arc<DomainClient>,
}

/// Why a node can't start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The WebAssembly engine.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// `CACHE_DIR`.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// `PLUGINS_DIR`.
    #[error("reading PLUGINS_DIR {dir}: {error}; it is the folder with the runners, NAME.wasm")]
    Plugins {
        /// The folder.
        dir: String,
        /// The system's answer.
        error: std::io::Error,
    },
    /// `WORK_DIR`.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// The client of domain servers.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The client of DDS.
    #[error(transparent)]
    Dds(#[from] DdsError),
    /// `STATUS_ADDR`.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// `LEGACY_HTTP_ADDR`.
    #[error(transparent)]
    Legacy(#[from] LegacyError),
    /// The client of DMS.
    #[error("making the client of DMS: {0}")]
    Dms(String),
}

impl Node {
    /// Makes the directories and loads the runners.
    ///
    /// # Errors
    /// When a folder can't be used or this machine can't run WebAssembly. A runner that can't be loaded is
    /// logged with its reason and is no error; the node waits for a better one.
    pub async fn start(config: Config) -> Result<Self, NodeError> {
        let work_dirs = Arc::new(WorkDirs::open(config.paths.work.clone()).await?);
        let settings = RegistrySettings {
            plugins_dir: config.paths.plugins.clone(),
            withheld: withheld(&config),
            environment: BTreeMap::from([(
                "NOOP_SLEEP_SECS".to_owned(),
                config.noop_sleep.as_secs().to_string(),
            )]),
        };
        let loader = Loader::open(Sandbox::new()?, config.loader.clone()).await?;
        let registry = Arc::new(Registry::new(Arc::new(loader), settings));
        registry
            .scan(Scan::Now)
            .await
            .map_err(|error| NodeError::Plugins { dir: config.paths.plugins.display().to_string(), error })?;
        if registry.capabilities().borrow().is_empty() {
            tracing::warn!(dir = %config.paths.plugins.display(), "no runner is live; waiting for one");
        }
        let domains = Arc::new(DomainClient::new(StorageSettings {
            client_id: config.client_id.clone(),
            upload_parallelism: config.storage.upload_parallelism as usize,
            upload_memory: (config.storage.upload_parallelism as usize + 1) * USUAL_PART,
            connect_timeout: config.storage.connect_timeout,
            first_byte_timeout: config.storage.first_byte_timeout,
            idle_timeout: config.storage.idle_timeout,
            allow_plain_http: config.allow_insecure_http,
            ..StorageSettings::default()
        })?);
        Ok(Self { config, registry, work_dirs, domains })
    }

    /// What it serves, sorted.
    pub fn capabilities(&self) -> Vec<String> {
        self.registry.capabilities().borrow().iter().cloned().collect()
    }

    /// Registers, logs in, and works until it is to shut down. Everything it started has ended then.
    ///
    /// # Errors
    /// When an HTTP client can't be made, or an address can't be listened on.
    pub async fn run(self, shutdown: &Shutdown) -> Result<Totals, NodeError> {
        let (membership, task) =
            Membership::new(&self.config, self.registry.capabilities(), Arc::new(SystemClock))?;
        let dms =
            DmsClient::new(self.config.dms_base_url.clone(), self.config.request_timeout, membership.clone())
                .map_err(|error| NodeError::Dms(error.to_string()))?;
        let status = StatusServer::bind(&self.config.status).await?;
        let legacy = match (self.config.legacy_http_addr, membership.registration()) {
            (Some(addr), Some(registration)) => Some(LegacyServer::bind(addr, registration.clone()).await?),
            // The configuration has seen to it that a robot has no such address.
            _ => None,
        };
        // The token and the watch on the runners outlive the engine: its last heartbeats need them.
        let stop = CancellationToken::new();
        let ready = watch::Sender::new(false);
        let records = TaskRecords::with_logs(self.work_dirs.logs());
        let parts = EngineParts {
            server: Arc::new(dms),
            runners: self.registry.clone(),
            storages: Arc::new(Domains {
                client: self.domains.clone(),
                max_output_bytes: self.config.loader.maximum.output_bytes,
            }),
            work_dirs: self.work_dirs.clone(),
            ready: ready.subscribe(),
            records: records.clone(),
        };
        let watched = Watched {
            registry: self.registry.clone(),
            records,
            readiness: self.readiness(&membership),
            shutdown: shutdown.clone(),
            admin_token: self.config.status.admin_token.clone(),
        };
        let engine = Engine::new(parts, engine_settings(&self.config));
        let work = async {
            let totals = engine.run(shutdown).await;
            self.domains.close().await;
            stop.cancel();
            totals
        };
        let serve_status = async {
            if let Some(server) = status {
                server.serve(watched, stop.clone()).await;
            }
        };
        let serve_legacy = async {
            if let Some(legacy) = legacy {
                legacy.run(stop.clone()).await;
            }
        };
        let (totals, (), (), (), (), ()) = tokio::join!(
            work,
            serve_status,
            serve_legacy,
            task.run(stop.clone()),
            self.registry.watch(stop.clone()),
            follow_registration(membership.status(), &ready, stop.clone()),
        );
        Ok(totals)
    }

    fn readiness(&self, membership: &Arc<Membership>) -> Readiness {
        let token = membership.clone();
        // A poll may wait, be sent, and be tried again once.
        let longest_silence = 2 * (self.config.poll.max + self.config.request_timeout);
        Readiness {
            registration: membership.status(),
            token: Arc::new(move || token.token_status()),
            longest_silence,
            max_concurrency: u64::from(self.config.max_concurrency),
        }
    }
}

/// The noop runner is for trying things out: it serves only when the operator says so.
fn withheld(config: &Config) -> BTreeSet<String> {
    if config.enable_noop { BTreeSet::new() } else { BTreeSet::from([NOOP_CAPABILITY.to_owned()]) }
}

fn engine_settings(config: &Config) -> EngineSettings {
    let heartbeat = HeartbeatPolicy {
        min_ratio: config.heartbeat.min_ratio,
        max_ratio: config.heartbeat.max_ratio,
        jitter: config.heartbeat.jitter,
    };
    EngineSettings {
        max_concurrency: config.max_concurrency as usize,
        poll_backoff_min: config.poll.min,
        poll_backoff_max: config.poll.max,
        shutdown_grace: config.shutdown_grace,
        lease: LeaseSettings { heartbeat, ..LeaseSettings::default() },
    }
}

/// Tells the engine whether the node is registered.
async fn follow_registration(
    mut status: watch::Receiver<RegistrationStatus>,
    ready: &watch::Sender<bool>,
    stop: CancellationToken,
) {
    loop {
        ready.send_replace(*status.borrow_and_update() == RegistrationStatus::Registered);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}

/// Opens the domain of a lease.
struct Domains {
    client: Arc<DomainClient>,
    /// The node's maximum; a runner's own is counted by the plugin host.
    max_output_bytes: u64,
}

impl Storages for Domains {
    fn open(
        &self,
        lease: &Lease,
        token: Arc<TaskToken>,
        stop: CancellationToken,
        disk: TaskDisk,
    ) -> Result<TaskPorts, String> {
        let storage = self.client.for_task(TaskDomain {
            base_url: lease.domain_server_url.get()?.clone(),
            domain_id: lease.domain_id.ok_or("the lease has no domain_id, which storage needs")?,
            token,
            task_id: lease.task.id,
            outputs_prefix: lease.task.outputs_prefix.clone(),
            max_output_bytes: self.max_output_bytes,
            disk,
            stop,
        });
        Ok(TaskPorts { inputs: storage.inputs, outputs: storage.outputs, traffic: storage.traffic })
    }
}
