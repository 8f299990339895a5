//! The process of one generation: started when it is needed, kept while it is, replaced when it has ended or its grants
//! have changed.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posemesh_files::remove_tree;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::runner::RunnerCall;
use rustix::fs::fstat;

use crate::code::footprint::Footprint;
use crate::folders::OpenFolder;
use crate::manifest::description::RawDescription;
use crate::manifest::limits::Limits;
use crate::manifest::policy::Grant;
use crate::sandbox::node::call::{CallSetup, run};
use crate::sandbox::node::claims::HostClaims;
use crate::sandbox::node::groups::{Group, Groups};
use crate::sandbox::node::process::{Process, Start, StartError};
use crate::sandbox::settings::{SandboxError, SandboxMode, SandboxSettings};
use crate::sandbox::wire::NotDescribed;

/// How long a process is kept without a task.
const KEEP_IDLE: Duration = Duration::from_secs(60);

/// How many processes a task may meet that end before they have begun with it.
const CHANCES: u32 = 3;

/// Starts sandbox processes. One a node.
#[derive(Debug)]
pub(crate) struct Sandbox {
    program: PathBuf,
    require: bool,
    folder: Mutex<Option<Folder>>,
    given: Option<PathBuf>,
    next: AtomicU64,
    missing: Mutex<Option<Vec<String>>>,
    groups: Option<Groups>,
}

/// Starts a sandbox process that only tries what this system can hold it by; says what it lacks, in words.
///
/// # Errors
/// When no such process can be started, or when something is lacking and everything is required.
pub async fn check(settings: SandboxSettings) -> Result<Vec<String>, SandboxError> {
    match Sandbox::new(settings) {
        Some(sandbox) => sandbox.probe().await.map_err(SandboxError),
        None => Ok(Vec::new()),
    }
}

/// The node's own control group, if it was delegated.
fn groups() -> Option<Groups> {
    match Groups::delegated() {
        Ok(groups) => {
            if let Some(groups) = &groups {
                tracing::info!(below = %groups, "sandbox processes get control groups of their own");
            }
            groups
        }
        Err(what) => {
            tracing::warn!("sandbox processes get no control groups: {what}");
            None
        }
    }
}

/// Where processes have their folders.
#[derive(Debug, Clone)]
enum Folder {
    Given(PathBuf),
    /// Removed with the last use.
    Temporary(Arc<tempfile::TempDir>),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

impl Sandbox {
    /// None when guests are to run in this process.
    pub(crate) fn new(settings: SandboxSettings) -> Option<Arc<Self>> {
        let SandboxSettings { mode, program, folder } = settings;
        if mode == SandboxMode::Off {
            return None;
        }
        Some(Arc::new(Self {
            program: program?,
            require: mode == SandboxMode::Require,
            folder: Mutex::default(),
            given: folder,
            next: AtomicU64::new(1),
            missing: Mutex::default(),
            groups: groups(),
        }))
    }

    /// What this kernel lacks to hold a sandbox process, in words; None before the first was started.
    pub(crate) fn missing(&self) -> Option<Vec<String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a process that only tries what this system can hold it by.
    ///
    /// # Errors
    /// When no process can be started, or when something is lacking and everything is required.
    pub(crate) async fn probe(&self) -> Result<Vec<String>, String> {
        let running = self.start("probe", None, false, &[]).await.map_err(|error| match error {
            StartError::World(what) | StartError::Host(what) => what,
        })?;
        let missing = running.process.missing.clone();
        match missing.is_empty() || !self.require {
            true => Ok(missing),
            false => Err(missing.join("; ")),
        }
    }

    /// A new, empty folder for a process.
    fn new_folder(&self) -> io::Result<(Folder, PathBuf)> {
        let mut held = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match (&*held, &self.given) {
            (Some(folder), _) => folder.clone(),
            (None, Some(given)) => Folder::Given(given.clone()),
            (None, None) => {
                Folder::Temporary(Arc::new(tempfile::Builder::new().prefix("posemesh-sandbox-").tempdir()?))
            }
        };
        *held = Some(folder.clone());
        drop(held);
        let name = format!("process-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let own = folder.path().join(name);
        // Whoever cleans up temporary files may have taken the folder above too.
        DirBuilder::new().mode(0o700).recursive(true).create(folder.path())?;
        DirBuilder::new().mode(0o700).create(&own)?;
        Ok((folder, own))
    }

    async fn start(
        &self,
        label: &str,
        code: Option<&OwnedFd>,
        poolable: bool,
        folders: &[OpenFolder],
    ) -> Result<Running, StartError> {
        let host = |what: String, error: io::Error| StartError::Host(format!("{what}: {error}"));
        let (parent, own) = self
            .new_folder()
            .map_err(|error| host("making the folder of a sandbox process".to_owned(), error))?;
        let folder = OwnFolder { path: own.clone(), _parent: parent };
        let granted =
            Granted::of(folders).map_err(|error| host("looking at the granted folders".to_owned(), error))?;
        let start = Start {
            program: &self.program,
            label: label.to_owned(),
            code,
            folder: own,
            folders,
            poolable,
            require: self.require,
            group: self.group(),
        };
        let process = Process::start(start).await?;
        self.note_missing(&process.missing);
        Ok(Running { process, granted, watched: AtomicBool::new(false), _folder: folder })
    }

    /// A control group for a process, where there are any.
    fn group(&self) -> Option<Arc<Group>> {
        let made = self.groups.as_ref()?.group(self.next.fetch_add(1, Ordering::Relaxed));
        match made {
            Ok(group) => Some(Arc::new(group)),
            Err(error) => {
                tracing::warn!(%error, "a sandbox process gets no control group: it could not be made");
                None
            }
        }
    }

    fn note_missing(&self, missing: &[String]) {
        let mut noted = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none() && !missing.is_empty() {
            tracing::warn!(
                missing = missing.join("; "),
                "runners are in processes of their own, but this system can't hold them fully; SANDBOX=require refuses \
                 to start like this"
            );
        }
        *noted = Some(missing.to_vec());
    }
}

/// Which folders a process was granted: those very folders, and not their paths.
#[derive(Debug, PartialEq, Eq)]
struct Granted(Vec<(String, u64, u64)>);

impl Granted {
    fn of(folders: &[OpenFolder]) -> io::Result<Self> {
        let identity = |folder: &OpenFolder| {
            let stat = fstat(&folder.folder)?;
            Ok((folder.name.clone(), stat.st_dev, stat.st_ino))
        };
        folders.iter().map(identity).collect::<io::Result<_>>().map(Self)
    }
}

/// A process's folder; removed when the process is gone.
#[derive(Debug)]
struct OwnFolder {
    path: PathBuf,
    _parent: Folder,
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        let remove = move || {
            if let Err(error) = remove_tree(&path) {
                tracing::warn!(%error, "the folder of a sandbox process was not removed whole");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// A process that serves, and what it was granted when it was started.
#[derive(Debug)]
struct Running {
    // Dropped first: what is in the folder is in use until then.
    process: Arc<Process>,
    granted: Granted,
    /// Somebody looks whether it is idle.
    watched: AtomicBool,
    _folder: OwnFolder,
}

/// The process of one generation.
#[derive(Debug)]
pub(crate) struct Pool {
    sandbox: Arc<Sandbox>,
    label: String,
    code: OwnedFd,
    /// What an instance costs its process.
    footprint: Footprint,
    current: Arc<tokio::sync::Mutex<Option<Arc<Running>>>>,
    claims: Arc<HostClaims>,
}

impl Pool {
    /// Takes sealed code. No process is started yet.
    pub(crate) fn new(sandbox: Arc<Sandbox>, label: String, code: OwnedFd, footprint: Footprint) -> Self {
        Self { sandbox, label, code, footprint, current: Arc::default(), claims: Arc::default() }
    }

    /// Starts a process that has these folders, or takes the one that is there.
    async fn process(&self, folders: &[OpenFolder]) -> Result<Arc<Running>, StartError> {
        let granted = Granted::of(folders)
            .map_err(|error| StartError::Host(format!("looking at the granted folders: {error}")))?;
        let mut current = self.current.lock().await;
        if let Some(running) = &*current
            && !running.process.is_over()
            && running.granted == granted
            // Somebody may have removed it, and the process could not use a new one of that name.
            && running.process.has_folder()
        {
            return Ok(running.clone());
        }
        // Tasks that still run in the former one keep it until they end.
        *current = None;
        let running = Arc::new(
            self.sandbox.start(&self.label, Some(&self.code), self.footprint.poolable, folders).await?,
        );
        *current = Some(running.clone());
        Ok(running)
    }

    /// Checks that the component is of the world of runners, and lets it describe itself. `folders` are those that it
    /// may be granted then, so that its first task finds the process ready.
    pub(crate) async fn describe(
        &self,
        limits: &Limits,
        folders: Vec<OpenFolder>,
        linked: impl FnOnce(),
    ) -> Result<RawDescription, LoadFailure> {
        let running = self.process(&folders).await.map_err(|error| match error {
            StartError::World(what) => LoadFailure::World(what),
            StartError::Host(what) => LoadFailure::Host(what),
        })?;
        linked();
        let described = running.process.describe(limits, self.footprint.host_bytes).await;
        self.end_when_idle(running);
        described.map_err(|error| match error {
            NotDescribed::Runner(what) => LoadFailure::Describe(what),
            NotDescribed::Wrongly(what) => LoadFailure::Description(what),
            NotDescribed::Host(what) => LoadFailure::Host(what),
        })
    }

    /// Runs a task. One that meets a process which dies before it has begun with it gets another.
    pub(crate) async fn run(
        &self,
        label: String,
        grant: Arc<Grant>,
        environment: Vec<(String, String)>,
        folders: Vec<OpenFolder>,
        call: RunnerCall,
    ) -> Result<(), RunFailure> {
        let setup = Arc::new(CallSetup {
            label,
            grant,
            environment,
            claims: self.claims.clone(),
            instance_bytes: self.footprint.host_bytes,
        });
        let mut chances = CHANCES;
        loop {
            chances -= 1;
            let running = self.process(&folders).await.map_err(|error| match error {
                StartError::World(what) | StartError::Host(what) => RunFailure::host(what),
            })?;
            let ran = run(running.process.clone(), setup.clone(), call.clone()).await;
            self.end_when_idle(running);
            match ran.result {
                Err(failure) if !ran.begun && failure.kind == FailureKind::Crashed && chances > 0 => {
                    tracing::info!(
                        task = %call.task.id,
                        reason = %failure.reason,
                        "a task met a sandbox process that was about to end; it gets another"
                    );
                }
                result => return result,
            }
        }
    }

    /// Ends the process when it has had no task for a while. One watch a process, however many tasks it has had.
    fn end_when_idle(&self, running: Arc<Running>) {
        if running.watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let current = Arc::downgrade(&self.current);
        let watched = Arc::downgrade(&running);
        drop(running);
        tokio::spawn(async move {
            let mut wait = KEEP_IDLE;
            loop {
                tokio::time::sleep(wait).await;
                let (Some(current), Some(running)) = (current.upgrade(), watched.upgrade()) else { return };
                let mut current = current.lock().await;
                let idle = running.process.idle_since().map(|since| since.elapsed());
                if idle.is_some_and(|idle| idle >= KEEP_IDLE) {
                    if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &running)) {
                        *current = None;
                    }
                    return;
                }
                wait = KEEP_IDLE.saturating_sub(idle.unwrap_or_default());
            }
        });
    }
}

/// Why a runner can't be loaded.
#[derive(Debug)]
pub(crate) enum LoadFailure {
    World(String),
    Describe(String),
    Description(String),
    Host(String),
}
