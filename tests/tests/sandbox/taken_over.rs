//! A runner whose process is the attacker's from its first instruction on.

use std::sync::Arc;
use std::time::Duration;

use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::{Runner as _, RunnerCall};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::files::{FileInputs, FileOutputs};
use posemesh_tests::plugin;
use serde_json::Value;
use uuid::Uuid;

pub(crate) struct TakenOver {
    runner: Generation,
    folder: tempfile::TempDir,
    /// What this kernel lacks.
    pub(crate) missing: Vec<String>,
}

impl TakenOver {
    /// Loads it with these lines in `NAME.toml`.
    pub(crate) async fn load(policy_text: &str) -> Self {
        let mut settings = LoaderSettings::default().in_this_process();
        settings.sandbox.program = Some(env!("CARGO_BIN_EXE_posemesh-attacker").into());
        let loader = Loader::open(RunnerEngine::new().expect("wasmtime"), settings).await.expect("a loader");
        let missing = loader.check_sandbox().await.expect("sandbox processes");
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy.toml");
        std::fs::write(&policy, policy_text).expect("a policy");
        let policy = Policy::read(&policy).expect("a policy that can be followed");
        // Its code is never run: the attacker describes itself.
        let runner = Generation::load(&loader, &plugin("noop"), 1, &policy, &|_| None, &|_| {}).await;
        Self { runner: runner.unwrap_or_else(|error| panic!("{error}")), folder, missing }
    }

    /// One task with these parameters.
    pub(crate) async fn run(&self, meta: Value) -> Result<(), RunFailure> {
        let mut task = Task::new(Uuid::new_v4(), "/posemesh/test/attack/v1");
        task.meta = meta.into();
        task.inputs_cids = vec!["scan".to_owned()];
        let dir = self.folder.path().join(task.id.to_string());
        std::fs::create_dir(&dir).expect("a folder");
        let scan = dir.join("scan");
        std::fs::write(&scan, "points").expect("a scan");
        let inputs = [("scan".to_owned(), vec![scan])].into();
        let call = RunnerCall {
            task,
            inputs: Arc::new(FileInputs::new(inputs)),
            outputs: Arc::new(FileOutputs::new(dir.join("out"), None, "attack".to_owned())),
            reports: Reports::new(ReportLimits::default()),
            disk: TaskDisk::new(&dir),
            log_file: None,
        };
        tokio::time::timeout(Duration::from_secs(120), self.runner.run(call)).await.expect("it ends")
    }
}
