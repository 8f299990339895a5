//! A whole node: the subsystems, put together.

mod error;
mod limits;
mod note_file;
mod observers;
mod operator_pause;
mod serving;
mod sources;
mod wishes;

use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, LiveBudget, TroubleBoard};
use crate::archive::Archive;
use crate::audit::AuditLog;
use crate::config::Config;
use crate::control::ControlSocket;
use crate::dms::DmsClient;
use crate::folders;
use crate::journal::OrphanedLease;
use crate::lease::DomainPortOpener;
use crate::records::TaskRecords;
use crate::registration::Membership;
use crate::registration::legacy::LegacyServer;
use crate::registration::membership::MembershipTask;
use crate::reload::Reload;
use crate::shutdown::Shutdown;
use crate::status::StatusServer;
use crate::workdir::WorkDirs;
use crate::worker::{PauseNote, Worker, WorkerParts};
use posemesh_domain_client::DomainClient;
use posemesh_net::clock::SystemClock;
use posemesh_plugin_host::load::{Loader, RunnerEngine};
use posemesh_plugin_host::registry::{Registry, RegistrySettings, Scan};
use posemesh_plugin_host::sandbox::SandboxMode;
use posemesh_runner_api::runner::Runners as _;
use posemesh_text::one_line;

use error::StartFailure;
use limits::{limits_of_machine, memory_file, who};
use note_file::NoteFile;
use observers::Observers;
use operator_pause::OperatorPause;
use serving::{
    control_socket, follow_registration, register_after, serve_control, serve_legacy, serve_status,
};
use sources::StatusParts;
use wishes::record_wishes;

pub use crate::records::LeaseTotals;
pub use crate::reload::ReadSettings;
pub use crate::status::{NodeIdentity, metrics_reference};
pub use error::NodeError;

/// How much of a path is recorded.
const SHOWN_BYTES: usize = 400;
/// How much of the names of runners is logged, in bytes.
const MAX_NAMES: usize = 500;

/// A node that has its directories and its status address, and has neither loaded a runner nor called a server yet.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use posemesh_node_core::config::{Config, SettingsFiles, environment};
/// use posemesh_node_core::node::Node;
/// use posemesh_node_core::shutdown::Shutdown;
///
/// let config = Config::load(&environment(&SettingsFiles::default())?)?;
/// let node = Node::start(config).await?;
/// let shutdown = Shutdown::new();
/// // Until somebody calls `shutdown.stop()`, from another task or by a signal.
/// node.run(&shutdown).await?;
/// # Ok(())
/// # }
/// ```
pub struct Node {
    config: Config,
    status_server: Option<StatusServer>,
    control: Option<(ControlSocket, UnixListener)>,
    registry: Arc<Registry>,
    work_dirs: Arc<WorkDirs>,
    /// Leases that a dead process held.
    orphans: Vec<OrphanedLease>,
    budget: LiveBudget,
    /// How many leases it works on at once.
    slots: watch::Sender<usize>,
    /// Reads the settings again.
    read_settings: Option<ReadSettings>,
    /// Why no leases are taken.
    board: TroubleBoard,
    domains: Arc<DomainClient>,
    audit: AuditLog,
    archive: Archive,
    /// Which folders are open to other users.
    folder_warnings: Vec<String>,
}

impl Node {
    /// Takes the status address and makes the directories.
    ///
    /// # Errors
    /// When the address is taken, a folder can't be used, or this machine can't run WebAssembly.
    pub async fn start(config: Config) -> Result<Self, NodeError> {
        // Before any client is made.
        config.network.clone().install();
        // Two nodes at one address would answer for each other.
        let status_server = StatusServer::bind(&config.status).await?;
        let audit = AuditLog::open(config.paths.audit.clone())?;
        let (work_dirs, orphans) = WorkDirs::open(config.paths.work.clone(), &config.owner()).await?;
        let work_dirs = Arc::new(work_dirs);
        let control = control_socket(&config.status.socket, &work_dirs).await?;
        let (budget, loader) = limits_of_machine(&config, &work_dirs).await;
        let loader = Loader::open(RunnerEngine::new()?, loader).await?;
        // Before any runner is loaded: without what the operator requires none is.
        loader.check_sandbox().await?;
        if loader.sandbox_mode() == SandboxMode::Off {
            tracing::warn!(
                "runners share the node's process (SANDBOX=off): one that breaks out of wasmtime has the key"
            );
        }
        let folder_warnings = folders::warn(config.folders()).await;
        let memory = memory_file(&config).await;
        let settings = RegistrySettings {
            withheld: config.noop.withheld(),
            environment: config.noop.environment(),
            memory: Some(memory),
            ..RegistrySettings::new(&config.paths.plugins)
        };
        let archive = Archive::start(config.archive.clone(), who(&config));
        orphans.iter().for_each(|orphan| archive.orphan(orphan.task_id));
        let observers = Observers { audit: audit.clone(), archive: archive.clone() };
        let registry = Registry::new(Arc::new(loader), settings).observed_by(Arc::new(observers));
        let registry = Arc::new(registry);
        let domains = Arc::new(DomainClient::new(config.storage.clone())?);
        let board = TroubleBoard::default();
        let plugins_dir = one_line(config.paths.plugins.display(), SHOWN_BYTES);
        let version = env!("CARGO_PKG_VERSION");
        audit.record("node_started", [("version", version.into()), ("plugins_dir", plugins_dir.into())]);
        let slots = watch::Sender::new(config.worker.max_concurrency);
        Ok(Self {
            config,
            slots,
            read_settings: None,
            status_server,
            control,
            registry,
            work_dirs,
            orphans,
            budget: LiveBudget::new(budget),
            board,
            domains,
            audit,
            archive,
            folder_warnings,
        })
    }

    /// Lets the node read its settings again, at SIGHUP and when an admin call asks for it.
    #[must_use]
    pub fn reloaded_by(self, read: ReadSettings) -> Self {
        Self { read_settings: Some(read), ..self }
    }

    /// Loads the runners that are there now, all of them; [`Node::run`] does so as well and waits for none that takes long. A
    /// runner that can't be loaded is logged with its reason and is no error.
    ///
    /// # Errors
    /// When the folder of runners can't be read.
    pub async fn load_runners(&self) -> Result<(), NodeError> {
        self.registry.scan(Scan::Now).await.map_err(|error| self.plugins_failure(error))?;
        Ok(())
    }

    /// Loads the runners as far as they are ready soon; the node waits for better ones.
    async fn start_runners(&self) -> Result<(), NodeError> {
        let dir = &self.config.paths.plugins;
        let left = self.registry.start().await.map_err(|error| self.plugins_failure(error))?;
        if !left.is_empty() {
            tracing::info!(
                runners = one_line(left.join(", "), MAX_NAMES),
                "some runners take long to be loaded; the others are served meanwhile"
            );
        }
        if self.registry.capabilities().borrow().is_empty() {
            tracing::warn!(dir = %dir.display(), "no runner is live; waiting for one");
        }
        // It may be among those that take long.
        let noop = self.config.noop_check();
        if let Some(missing) =
            noop.missing(&self.registry.capabilities().borrow()).filter(|_| left.is_empty())
        {
            tracing::error!("{missing}");
        }
        Ok(())
    }

    fn plugins_failure(&self, error: std::io::Error) -> StartFailure {
        StartFailure::Plugins { dir: self.config.paths.plugins.display().to_string(), error }
    }

    /// Its runners, for whoever puts new ones into their folder and wants to know what became of them.
    pub fn runners(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// The capabilities of its live runners, sorted.
    pub fn capabilities(&self) -> Vec<String> {
        self.registry.capabilities().borrow().iter().cloned().collect()
    }

    /// Loads the runners, registers, logs in, and works until the node is to end. Everything it started has ended
    /// then. The status server answers from the beginning.
    ///
    /// # Errors
    /// When an HTTP client can't be made, an address can't be listened on, or the folder of runners can't be read.
    pub async fn run(mut self, shutdown: &Shutdown) -> Result<LeaseTotals, NodeError> {
        let (membership, membership_task) = self.membership()?;
        let (status_server, control) = (self.status_server.take(), self.control.take());
        let legacy_server = self.legacy_server(&membership).await?;
        let archive = self.archive.clone();
        let records = TaskRecords::with_logs(self.work_dirs.logs());
        let records = records.listened_by(move |event| archive.lease(event));
        let registered = watch::Sender::new(false);
        let admission = Arc::new(Admission::new(
            self.budget.clone(),
            self.registry.clone(),
            self.work_dirs.clone(),
            self.board.clone(),
            self.domains.servers().clone(),
        ));
        let worker = self.worker(admission.clone(), &membership, records.clone(), registered.subscribe())?;
        let pause: NoteFile<PauseNote> = NoteFile::new(self.work_dirs.pause_file());
        let worker = worker.recalling(pause.read().await);
        let pause_note = worker.pause_note();
        let paused = NoteFile::new(self.work_dirs.paused_file());
        let operator_pause = OperatorPause::recall(paused, shutdown.clone()).await;
        // Token, status and the watch on the runners outlive the work: its last heartbeats need them.
        let stop = CancellationToken::new();
        let reload = Reload::new(
            self.config.clone(),
            self.read_settings.take(),
            self.slots.clone(),
            self.budget.clone(),
            self.audit.clone(),
        );
        let socket = control.as_ref().map(|(socket, _)| socket.path().to_owned());
        let identity =
            NodeIdentity::of(&self.config.paths.plugins, self.config.status.addr, socket.as_deref());
        let sources = StatusParts {
            config: &self.config,
            identity,
            registry: &self.registry,
            board: &self.board,
            slots: self.slots.subscribe(),
            budget: &self.budget,
            audit: &self.audit,
            archive: &self.archive,
            folder_warnings: &self.folder_warnings,
            membership: &membership,
            records,
            admission: admission.clone(),
            reload: &reload,
            operator_pause: &operator_pause,
            stop: &stop,
        }
        .sources();
        let work = async {
            // Before the node registers: it says what it can do.
            tokio::select! {
                loaded = self.start_runners() => if let Err(error) = loaded {
                    stop.cancel();
                    return Err(error);
                },
                () = shutdown.stopping().cancelled() => {
                    tracing::info!("stopped before all runners were loaded");
                    stop.cancel();
                    return Ok(LeaseTotals::default());
                }
            }
            let work = async {
                let totals = worker.run(shutdown).await;
                self.close_domains(shutdown).await;
                stop.cancel();
                totals
            };
            let (totals, (), _, (), (), (), ()) = tokio::join!(
                work,
                pause.follow(pause_note, stop.clone()),
                stop.run_until_cancelled(shutdown.end_pauses()),
                admission.watch(stop.clone()),
                register_after(self.config.start_splay, membership_task, stop.clone()),
                self.registry.watch(stop.clone()),
                follow_registration(membership.status(), &registered, stop.clone()),
            );
            Ok(totals)
        };
        let (totals, (), (), (), (), (), ()) = tokio::join!(
            work,
            // Signals are heard while runners are loaded, too.
            operator_pause.follow(stop.clone()),
            record_wishes(self.audit.clone(), shutdown, stop.clone()),
            reload.follow_signal(stop.clone()),
            serve_control(control, sources.clone(), stop.clone()),
            serve_status(status_server, sources, stop.clone()),
            serve_legacy(legacy_server, stop.clone()),
        );
        self.audit.record("node_ended", []);
        tokio::join!(self.audit.flush(), self.archive.end());
        totals
    }

    /// Lets upload sessions be aborted at their servers, for as long as a node that stops has time.
    async fn close_domains(&self, shutdown: &Shutdown) {
        let end = shutdown.stopped_at().map(|stopped| stopped + self.config.worker.shutdown_grace);
        tokio::select! {
            () = self.domains.close() => {}
            () = async { sleep_until(end.unwrap_or_else(Instant::now)).await }, if end.is_some() => {
                tracing::warn!("stopping: upload sessions may be left at domain servers");
            }
        }
    }

    fn membership(&self) -> Result<(Arc<Membership>, MembershipTask), NodeError> {
        let capabilities = self.registry.capabilities();
        Ok(Membership::new(&self.config.membership, capabilities, Arc::new(SystemClock))?)
    }

    /// The configuration refuses the address for a robot, which has no registration of its own.
    async fn legacy_server(&self, membership: &Membership) -> Result<Option<LegacyServer>, NodeError> {
        match (self.config.legacy_http_addr, membership.registration()) {
            (Some(addr), Some(registration)) => {
                Ok(Some(LegacyServer::bind(addr, registration.clone()).await?))
            }
            _ => Ok(None),
        }
    }

    fn worker(
        &mut self,
        admission: Arc<Admission>,
        membership: &Arc<Membership>,
        records: TaskRecords,
        registered: watch::Receiver<bool>,
    ) -> Result<Worker, NodeError> {
        let Config { dms_base_url, request_timeout, .. } = &self.config;
        let dms = DmsClient::new(dms_base_url.clone(), *request_timeout, membership.clone())
            .map_err(|error| StartFailure::Dms(error.to_string()))?;
        let parts = WorkerParts {
            server: Arc::new(dms),
            runners: self.registry.clone(),
            ports: Arc::new(DomainPortOpener { client: self.domains.clone() }),
            work_dirs: self.work_dirs.clone(),
            admission,
            board: self.board.clone(),
            journal: self.work_dirs.journal(),
            orphans: std::mem::take(&mut self.orphans),
            registered,
            reported: membership.reported(),
            records,
        };
        Ok(Worker::new(parts, self.config.worker).with_slots(self.slots.subscribe()))
    }
}
