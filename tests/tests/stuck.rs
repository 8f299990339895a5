//! A runner that can't even be dropped, because the host itself is blocked in one of its calls.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::{Generation, Registry, RegistrySettings};
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::FailureKind;
use posemesh_runner_api::ports::{InputPort, PartStream, PortError};
use posemesh_runner_api::reports::{ReportLimits, Reports, StopReason};
use posemesh_runner_api::runner::{Runner as _, RunnerCall, Runners as _};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::files::{FileInputs, FileOutputs};
use posemesh_tests::guests::COPY;
use posemesh_tests::node_binary;
use uuid::Uuid;

/// An input that blocks the thread, as a broken file system does, until it is released.
#[derive(Clone, Default)]
struct Blocking(Arc<(Mutex<bool>, Condvar)>);

impl Blocking {
    fn release(&self) {
        *self.0.0.lock().expect("nobody panics") = true;
        self.0.1.notify_all();
    }
}

#[async_trait]
impl InputPort for Blocking {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        let (lock, woken) = &*self.0;
        let held = lock.lock().expect("nobody panics");
        let _free = woken.wait_while(held, |free| !*free).expect("nobody panics");
        Err(PortError::other("released at last".to_owned()))
    }
}

fn call(inputs: Arc<dyn InputPort>, reports: Reports, dir: &Path) -> RunnerCall {
    let mut task = Task::new(Uuid::new_v4(), COPY.capability);
    task.inputs_cids = vec!["input".to_owned()];
    let outputs = FileOutputs::new(dir.to_owned(), None, task.id.to_string());
    RunnerCall { task, inputs, outputs: Arc::new(outputs), reports, disk: TaskDisk::new(dir), log_file: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_can_not_be_ended_is_counted_until_its_thread_ends() {
    let mut settings = LoaderSettings::default();
    settings.compiler.program = Some(node_binary());
    // A thread of this process: a process of its own would be ended.
    settings.sandbox.program = None;
    let engine = RunnerEngine::new().expect("wasmtime");
    let loader = Loader::open(engine.clone(), settings).await.expect("a loader");
    let loader = Arc::new(loader);
    // What a node asks; its directory plays no part here.
    let registry = Registry::new(loader.clone(), RegistrySettings::new("/nowhere"));
    assert_eq!((engine.stuck_runners(), registry.stuck()), (0, 0), "nothing has run");
    let path = COPY.path();
    let runner = Generation::load(&loader, &path, 1, &Policy::default(), &|_| None, &|_| {}).await;
    let runner = Arc::new(runner.expect("a runner"));
    let reports = Reports::new(ReportLimits::default());
    let blocking = Blocking::default();
    let (stuck_dir, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));

    let hanging = {
        let call = call(Arc::new(blocking.clone()), reports.clone(), stuck_dir.path());
        let runner = runner.clone();
        tokio::spawn(async move { runner.run(call).await })
    };
    reports.stop(StopReason::Cancelled);

    // Meanwhile the same runner executes another task: only one thread is blocked.
    let input = dir.path().join("input");
    std::fs::write(&input, "data").expect("an input");
    let inputs = FileInputs::new([("input".to_owned(), vec![input])].into());
    let fine = call(Arc::new(inputs), Reports::new(ReportLimits::default()), dir.path());
    runner.run(fine).await.expect("a neighbour");

    let ended = tokio::time::timeout(Duration::from_secs(60), hanging).await;
    let failure =
        ended.expect("the call returns all the same").expect("no panic").expect_err("it did not complete");
    assert_eq!(failure.kind, FailureKind::Stuck, "{failure:?}");
    assert!(failure.reason.contains("can't be ended"), "{failure:?}");
    assert_eq!((engine.stuck_runners(), registry.stuck()), (1, 1), "the node is not ready");

    blocking.release();
    let freed = async {
        while registry.stuck() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the thread is free again");
    assert_eq!(engine.stuck_runners(), 0, "the node is ready again");
}
