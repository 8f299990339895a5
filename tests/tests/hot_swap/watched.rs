//! The fixture: a registry that watches a folder.

use std::sync::Arc;
use std::time::Duration;

use posemesh_plugin_host::load::{LoadStage, Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::registry::{Registry, RegistrySettings, RunnerView, Scan};
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::{Runner, Runners as _};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::run::{FileRun, FileRunError, run};
use posemesh_tests::TIMEOUT;
use posemesh_tests::versions::capability;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A registry whose folder is watched as in a node.
pub(crate) struct Watched {
    pub(crate) registry: Arc<Registry>,
    pub(crate) dir: TempDir,
    stop: CancellationToken,
    watching: JoinHandle<()>,
}

impl Watched {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// With other settings of the registry than a node's.
    pub(crate) async fn start_with(change: impl FnOnce(&mut RegistrySettings)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = LoaderSettings::default();
        // Components are compiled by the node as a process of its own: this process is a test, not a node.
        settings = settings.with_program(posemesh_tests::node_binary());
        let engine = RunnerEngine::new().expect("wasmtime");
        let loader = Loader::open(engine, settings).await.expect("a loader without a cache");
        let mut settings = RegistrySettings::new(dir.path());
        change(&mut settings);
        let registry = Arc::new(Registry::new(Arc::new(loader), settings));
        registry.scan(Scan::Now).await.expect("a first scan");
        let stop = CancellationToken::new();
        let watching = tokio::spawn({
            let (registry, stop) = (registry.clone(), stop.clone());
            async move { registry.watch(stop).await }
        });
        Self { registry, dir, stop, watching }
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.watching.await.expect("it ends");
    }

    /// The runner of this name, if it is known.
    pub(crate) fn runner(&self, name: &str) -> Option<RunnerView> {
        self.registry.view().into_iter().find(|runner| runner.name == name)
    }

    /// Waits until a condition holds for a runner; returns its view.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(Option<&RunnerView>) -> bool,
    ) -> Option<RunnerView> {
        let begun = tokio::time::Instant::now();
        loop {
            let view = self.runner(name);
            if is_so(view.as_ref()) {
                return view;
            }
            assert!(begun.elapsed() < TIMEOUT, "{name} never {what}: {:#?}", self.registry.view());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a version is live.
    pub(crate) async fn until_live(&self, name: &str, version: &str) -> RunnerView {
        let what = format!("became {version}");
        let live = self.until(name, &what, |view| live(view).as_deref() == Some(version));
        live.await.expect("a live runner is known")
    }

    /// Waits until the newest file was refused; returns the reason.
    pub(crate) async fn until_refused(&self, name: &str) -> String {
        let refused = self.until(name, "was refused", |view| view.is_some_and(|view| view.refused.is_some()));
        refused.await.and_then(|view| view.refused).expect("a reason").reason
    }

    pub(crate) fn pick(&self, suffix: u8) -> Option<Arc<dyn Runner>> {
        self.registry.pick(&capability(suffix))
    }

    pub(crate) fn serves(&self, suffix: u8) -> bool {
        self.registry.capabilities().borrow().contains(&capability(suffix))
    }
}

/// The version that new tasks get.
pub(crate) fn live(view: Option<&RunnerView>) -> Option<String> {
    let live = view?.generations.iter().find(|generation| generation.stage == LoadStage::Live);
    live.map(|generation| generation.version.clone())
}

/// Runs one task on a runner; returns the version at its start and at its end.
pub(crate) async fn run_task(runner: &dyn Runner, sleep: Duration) -> Result<(String, String), String> {
    run_with(runner, json!({"sleep_ms": u64::try_from(sleep.as_millis()).expect("a short time")})).await
}

/// The same for a task with this `meta`.
pub(crate) async fn run_with(runner: &dyn Runner, meta: Value) -> Result<(String, String), String> {
    let out = tempfile::tempdir().expect("a folder");
    let task = Task { meta: meta.into(), ..Task::new(Uuid::new_v4(), capability(0)) };
    let reports = Reports::new(ReportLimits::default());
    let file_run = FileRun::new(task, Default::default(), out.path());
    match run(runner, file_run, reports.clone()).await {
        Ok(_) => {
            let progress: Value = serde_json::from_str(reports.latest_progress().as_str()).expect("JSON");
            let word = |name: &str| progress[name].as_str().expect("a version").to_owned();
            Ok((word("began"), word("ended")))
        }
        Err(FileRunError::Failed(failure)) => Err(failure.reason),
        Err(error) => panic!("{error}"),
    }
}
