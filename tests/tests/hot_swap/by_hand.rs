//! The fixture: a registry on a folder of the smallest runners, which is scanned when a test says so.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use posemesh_plugin_host::load::{LoadStage, Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::registry::{GenerationView, Registry, RegistrySettings, RunnerView, Scan};
use posemesh_runner_api::failure::FailureKind;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::Runners as _;
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::run::{FileRun, FileRunError, run};
use posemesh_tests::by_hand::{Parts, runner};
use tempfile::TempDir;
use uuid::Uuid;

/// Instructions by which `run` returns the error `invalid-input`: of the result first, of the variant in it second.
const INVALID_INPUT: &str =
    "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store8 (i32.const 516) (i32.const 1))";

pub(crate) struct Folder {
    pub(crate) dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes the runner FILE of the capability of NAME; `version` makes its bytes differ.
    pub(crate) fn put(&self, file: &str, name: &str, version: u32) {
        self.write(file, name, &Parts { fields: &different(version), ..Parts::default() });
    }

    /// The same, and it calls every input invalid.
    pub(crate) fn put_refusing(&self, file: &str, name: &str, version: u32) {
        self.write(
            file,
            name,
            &Parts { fields: &different(version), run: INVALID_INPUT, ..Parts::default() },
        );
    }

    pub(crate) fn write(&self, file: &str, name: &str, parts: &Parts<'_>) {
        posemesh_tests::versions::put(self.dir.path(), &format!("{file}.wasm"), &runner(name, parts));
    }

    pub(crate) fn policy(&self, file: &str, text: &str) {
        posemesh_tests::versions::put(self.dir.path(), &format!("{file}.toml"), text.as_bytes());
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("it is there");
    }

    /// A registry that remembers in a file of the folder.
    pub(crate) async fn registry(&self) -> Registry {
        let settings = LoaderSettings::default().with_program(posemesh_tests::node_binary());
        self.registry_with(settings).await
    }

    pub(crate) async fn registry_with(&self, settings: LoaderSettings) -> Registry {
        let engine = RunnerEngine::new().expect("wasmtime");
        let loader = Arc::new(Loader::open(engine, settings).await.expect("a loader"));
        let memory = Some(self.path("memory.json"));
        Registry::new(loader, RegistrySettings { memory, ..RegistrySettings::new(self.dir.path()) })
    }
}

fn different(version: u32) -> String {
    format!("(func (result i32) (i32.const {version}))")
}

pub(crate) fn capability(name: &str) -> String {
    format!("/posemesh/test/{name}/v1")
}

pub(crate) async fn scan(registry: &Registry) {
    registry.scan(Scan::Now).await.expect("the folder can be read");
}

pub(crate) fn view(registry: &Registry, name: &str) -> RunnerView {
    let view = registry.view().into_iter().find(|view| view.name == name);
    view.unwrap_or_else(|| panic!("{name} is not shown"))
}

pub(crate) fn live(registry: &Registry, name: &str) -> Option<GenerationView> {
    let is_live = |generation: &GenerationView| generation.stage == LoadStage::Live;
    view(registry, name).generations.into_iter().find(is_live)
}

pub(crate) fn refusal(registry: &Registry, name: &str) -> String {
    view(registry, name).refused.unwrap_or_else(|| panic!("{name} is not refused")).reason
}

/// Who serves a capability.
pub(crate) fn server(registry: &Registry, name: &str) -> Option<String> {
    let label = registry.pick(&capability(name))?.label();
    label.split(' ').next().map(str::to_owned)
}

/// Runs a task; how it failed, if it did.
pub(crate) async fn task(registry: &Registry, name: &str) -> Option<FailureKind> {
    let out = tempfile::tempdir().expect("a folder");
    let runner = registry.pick(&capability(name)).expect("it is served");
    let task = Task::new(Uuid::new_v4(), capability(name));
    let file_run = FileRun::new(task, Default::default(), out.path());
    match run(runner.as_ref(), file_run, Reports::new(ReportLimits::default())).await {
        Ok(_) => None,
        Err(FileRunError::Failed(failure)) => Some(failure.kind),
        Err(error) => panic!("{error}"),
    }
}
