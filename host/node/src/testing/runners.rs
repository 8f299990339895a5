//! Runners that are closures.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::{Runner, RunnerCall, Runners};
use tokio::sync::watch;

use crate::testing::leases::CAPABILITY;

/// A runner that is a closure.
struct FakeRunner(Box<dyn Fn(RunnerCall) -> BoxFuture<'static, Result<(), RunFailure>> + Send + Sync>);

#[async_trait]
impl Runner for FakeRunner {
    fn label(&self) -> String {
        "fake 1.0.0 #1".to_owned()
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        (self.0)(call).await
    }
}

/// The one runner, for the capabilities that are live.
pub(crate) struct FakeRunners {
    runner: Arc<FakeRunner>,
    pub(crate) capabilities: watch::Sender<BTreeSet<String>>,
    stuck: AtomicUsize,
    suspended: Mutex<Vec<String>>,
}

impl FakeRunners {
    /// This runner, live for [`CAPABILITY`].
    pub(crate) fn new<F>(run: impl Fn(RunnerCall) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), RunFailure>> + Send + 'static,
    {
        Self {
            runner: Arc::new(FakeRunner(Box::new(move |call| run(call).boxed()))),
            capabilities: watch::Sender::new(BTreeSet::from([CAPABILITY.to_owned()])),
            stuck: AtomicUsize::new(0),
            suspended: Mutex::default(),
        }
    }

    /// From now on, nothing is served, for these reasons.
    pub(crate) fn suspend(&self, reasons: Vec<String>) {
        *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
        self.capabilities.send_replace(BTreeSet::new());
    }

    /// From now on, this many runners hold a thread.
    pub(crate) fn set_stuck(&self, runners: usize) {
        self.stuck.store(runners, Ordering::Relaxed);
    }
}

impl Runners for FakeRunners {
    fn capabilities(&self) -> watch::Receiver<BTreeSet<String>> {
        self.capabilities.subscribe()
    }

    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>> {
        let live = self.capabilities.borrow().contains(capability);
        live.then(|| self.runner.clone() as Arc<dyn Runner>)
    }

    fn suspended(&self) -> Vec<String> {
        self.suspended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }
}
