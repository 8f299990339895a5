//! Which runners are live: found in `PLUGINS_DIR`, taken through every stage, swapped while work is
//! running.
//!
//! **Invariant:** a new generation goes live only after it has passed every stage; until then, and
//! whatever goes wrong, the old one serves. A task keeps the generation that it was given. A capability
//! is served by one runner at a time.
//!
//! `fingerprint` and `watch` see that something changed, `scan` finds it (`seen` is what it remembers of files), `loads` take
//! it through the stages side by side into the `table`, whose `slot`s hold the generations of one name, each under the
//! operator's `terms` of today; `claims` decide between several that want the same capability, and `memory` between those
//! that served it before and newcomers; `trial`, `comparison` and `counters` judge a new generation by its tasks, `breaker`
//! the live one by its latest (`setbacks` is what of it a restart does not undo); a `handle` is a generation that a task holds.

pub(crate) mod breaker;
pub(crate) mod claims;
pub(crate) mod comparison;
pub(crate) mod counters;
pub(crate) mod events;
pub(crate) mod fingerprint;
pub(crate) mod generation;
pub(crate) mod granted_folders;
pub(crate) mod guests;
pub(crate) mod handle;
pub(crate) mod loads;
pub(crate) mod memory;
pub(crate) mod memory_file;
pub(crate) mod scan;
pub(crate) mod seen;
pub(crate) mod setbacks;
pub(crate) mod slot;
pub(crate) mod table;
pub(crate) mod table_state;
pub(crate) mod terms;
pub(crate) mod trial;
pub(crate) mod view;
pub(crate) mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use posemesh_runner_api::runner::{Runner, RunnerNeeds, Runners};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch as channel};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::load::loader::Loader;
use crate::load::stage::LoadStage;
use crate::registry::handle::GenerationHandle;
use crate::registry::scan::Scanner;
use crate::registry::table::RunnerTable;
use crate::registry::watch::DirectoryWatch;
use crate::sandbox::SandboxView;

pub use counters::{FailureCounts, RunCounts};
pub use events::{GenerationId, RegistryEvent, RegistryObserver};
pub use generation::Generation;
pub use scan::Scan;
pub use terms::Terms;
pub use view::{BreakerState, BreakerView, GenerationView, LoadingView, RefusedView, RunnerView};

/// How often the directory is scanned when nothing is heard of it: the system's notifications can get lost.
const RESCAN_INTERVAL: Duration = Duration::from_secs(5);
/// How long the start waits for the next runner to be ready, once one is live: those that are in the cache come together, and
/// the node registers once for all of them.
const START_QUIET: Duration = Duration::from_millis(300);
/// How long it waits for all of these.
const START_LONGEST: Duration = Duration::from_secs(1);
/// How long somebody waits until what is to be remembered is written.
const SAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Where a registry finds its runners, and what it keeps from them or gives to them.
///
/// ```
/// use posemesh_plugin_host::registry::RegistrySettings;
///
/// let settings = RegistrySettings::new("/srv/plugins");
/// assert!(settings.withheld.is_empty() && settings.environment.is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// The directory of `NAME.wasm` files (`PLUGINS_DIR`).
    pub plugins_dir: PathBuf,
    /// Capabilities that are not served, whoever claims them.
    pub withheld: BTreeSet<String>,
    /// Variables that every runner which asks may see, with their values.
    pub environment: BTreeMap<String, String>,
    /// The file that outlives the process and tells who served which capability, so that after a restart no other runner
    /// takes it. None: each process begins anew.
    pub memory: Option<PathBuf>,
    /// How long a file must stay the same before it is loaded, 200 ms by default: one that is still written is broken.
    pub unchanged_for: Duration,
}

impl RegistrySettings {
    /// A directory, without anything withheld or given.
    pub fn new(plugins_dir: impl Into<PathBuf>) -> Self {
        Self {
            plugins_dir: plugins_dir.into(),
            withheld: BTreeSet::new(),
            environment: BTreeMap::new(),
            memory: None,
            unchanged_for: Duration::from_millis(200),
        }
    }
}

/// The live runners of a node, kept in step with a directory.
///
/// [`Registry::scan`] fills it once, [`Registry::watch`] goes on doing so; [`Runners::pick`] gives a task its
/// runner.
pub struct Registry {
    table: Arc<RunnerTable>,
    scanner: Scanner,
    loader: Arc<Loader>,
    plugins_dir: PathBuf,
    unchanged_for: Duration,
    /// A run has ended, or a task has released its generation.
    task_changed: Arc<Notify>,
}

impl Registry {
    /// An empty registry; nothing is read yet.
    pub fn new(loader: Arc<Loader>, settings: RegistrySettings) -> Self {
        let RegistrySettings { plugins_dir, withheld, environment, memory, unchanged_for } = settings;
        let table = Arc::new(RunnerTable::new(withheld));
        let scanner = Scanner::new(loader.clone(), table.clone(), plugins_dir.clone(), environment, memory);
        Self { table, scanner, loader, plugins_dir, unchanged_for, task_changed: Arc::default() }
    }

    /// Tells `observer` from now on what happens: before the first scan, of everything.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn RegistryObserver>) -> Self {
        self.table.observe_by(observer);
        self
    }

    /// Every name in the directory with its generations, for people and programs that look.
    pub fn view(&self) -> Vec<RunnerView> {
        let mut runners = self.table.view();
        for (path, time) in self.loader.compiling() {
            let Some(name) = path.file_stem().map(|stem| stem.to_string_lossy()) else { continue };
            let runner = runners.iter_mut().find(|runner| runner.name == name);
            if let Some(loading) = runner.and_then(|runner| runner.loading.as_mut()) {
                loading.compiling_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            }
        }
        runners
    }

    /// How guests are kept apart from this process, and what is lacking for it.
    pub fn sandbox(&self) -> SandboxView {
        SandboxView { mode: self.loader.sandbox_mode(), missing: self.loader.sandbox_missing() }
    }

    /// How often each stage was reached since the node started.
    pub fn transitions(&self) -> BTreeMap<LoadStage, u64> {
        self.table.transitions()
    }

    /// Takes the newest generation of a runner back: a canary, or the live one, whose place the previous
    /// one takes. What is taken back stays for another rollback until its file changes, and is not live again by a restart.
    /// Answers with the label of what serves now.
    ///
    /// # Errors
    /// When there is no such runner or nothing to go back to.
    pub fn roll_back(&self, name: &str) -> Result<String, String> {
        self.table.roll_back(name)
    }

    /// Closes the circuit breaker of a runner, so that it gets tasks again at once; false if it was closed already.
    ///
    /// # Errors
    /// When there is no such runner, or it has no breaker.
    pub fn close_breaker(&self, name: &str) -> Result<bool, String> {
        self.table.close_breaker(name)
    }

    /// Waits until what the next process is to know is written, for a second at most: a rollback, say, that holds over
    /// restarts. It is written soon in any case, while [`Registry::watch`] runs.
    pub async fn remember(&self) {
        // A file system that does not answer holds up neither a call nor a stop.
        let _ = timeout(SAVE_TIMEOUT, self.scanner.save()).await;
    }

    /// Scans the directory once, and waits until no load goes on any more. Each runner is live as soon as it is ready.
    ///
    /// # Errors
    /// When it can't be read; everything stays as it is then. A runner that can't be loaded is no error:
    /// it is logged, and listed with its reason.
    pub async fn scan(&self, scan: Scan) -> io::Result<()> {
        self.scanner.scan(scan).await
    }

    /// Scans the directory at once, taking everything as it is, and waits for so long that no load goes on any more: returns
    /// the names of those that go on being loaded then.
    ///
    /// # Errors
    /// As [`Registry::scan`].
    pub async fn scan_within(&self, longest: Duration) -> io::Result<Vec<String>> {
        self.scanner.scan_within(longest).await
    }

    /// Scans the directory for the first time. Waits until a runner is live, and a moment longer for those that are ready
    /// as soon: returns the names of those that go on being loaded.
    ///
    /// # Errors
    /// As [`Registry::scan`].
    pub async fn start(&self) -> io::Result<Vec<String>> {
        self.scanner.start(START_QUIET, START_LONGEST).await
    }

    /// Keeps the runners in step with the directory, and their circuit breakers with the time, until `stop` fires.
    /// SIGHUP makes it scan at once.
    pub async fn watch(&self, stop: CancellationToken) {
        tokio::select! {
            () = self.watch_directory(stop) => {}
            () = self.table.keep_breakers() => {}
            () = self.scanner.keep_memory() => {}
        }
        self.scanner.stop();
        // What was learned last.
        self.remember().await;
    }

    async fn watch_directory(&self, stop: CancellationToken) {
        let dir = &self.plugins_dir;
        let mut watch = DirectoryWatch::new(dir.clone(), RESCAN_INTERVAL);
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP can't be listened to"))
            .ok();
        // Said once, not at every scan.
        let mut unreadable = false;
        let mut ended = self.scanner.ended();
        loop {
            watch.renew().await;
            let pending = self.scanner.has_pending();
            let mut next = pin!(sleep(if pending { self.unchanged_for } else { RESCAN_INTERVAL }));
            // A busy node releases generations all the time: that comes last and restarts no wait.
            let scan = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    Some(()) = async { hangup.as_mut()?.recv().await } => {
                        tracing::info!("SIGHUP: looking for runners");
                        break Scan::Now;
                    }
                    () = watch.changed(), if !pending => break Scan::Careful,
                    // It may have made room for one that was refused, or its file changed meanwhile.
                    Ok(()) = ended.changed(), if !pending => break Scan::Careful,
                    () = &mut next => break Scan::Careful,
                    () = self.task_changed.notified() => self.table.conclude_trials(),
                }
            };
            let scanned = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Without the loads that it begins: they may take minutes, and nobody waits for them.
                scanned = self.scanner.begin(scan) => scanned,
            };
            match scanned {
                Ok(()) => unreadable = false,
                Err(error) if !unreadable => {
                    unreadable = true;
                    tracing::warn!(dir = %dir.display(), %error, "PLUGINS_DIR can't be read; what is live stays");
                }
                Err(_) => {}
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("plugins_dir", &self.plugins_dir).finish_non_exhaustive()
    }
}

impl Runners for Registry {
    fn capabilities(&self) -> channel::Receiver<BTreeSet<String>> {
        self.table.capabilities()
    }

    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>> {
        let (name, picked) = self.table.pick(capability)?;
        Some(Arc::new(GenerationHandle::new(self.table.clone(), name, picked, self.task_changed.clone())))
    }

    fn suspended(&self) -> Vec<String> {
        self.table.suspended()
    }

    fn needs(&self) -> RunnerNeeds {
        self.table.needs()
    }

    fn stuck(&self) -> usize {
        self.loader.engine().stuck_runners()
    }
}
