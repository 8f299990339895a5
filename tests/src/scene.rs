//! The fixture of most tests: a devnet, a folder of runners, and the environment of a node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_devnet::{Devnet, DevnetConfig, Endpoint, RequestRecord, TaskState};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::built::{plugin, plugins_with};
use crate::process::{NodeProcess, variables};
use crate::warm::warm;

/// Capability of the noop runner, which every scene has.
pub const NOOP: &str = "/posemesh/noop/v1";

/// How long a test waits for one event: far more than it takes, since the machine may be loaded.
pub const TIMEOUT: Duration = Duration::from_secs(180);

/// A token that the admin API accepts: long enough.
pub const ADMIN_TOKEN: &str = "an-admin-token-of-some-length-0123";

/// A devnet, a folder with the noop runner, and the environment of a node that works for this devnet.
pub struct Scene {
    /// The servers.
    pub devnet: Devnet,
    /// The node's environment; a change takes effect when the node is started.
    pub variables: BTreeMap<String, String>,
    config: DevnetConfig,
    plugins: TempDir,
    work: TempDir,
}

impl Scene {
    /// A scene with the devnet's defaults.
    pub async fn new() -> Self {
        Self::with(DevnetConfig::default()).await
    }

    /// A scene with a devnet that is configured like this.
    pub async fn with(mut config: DevnetConfig) -> Self {
        let plugins = plugins_with(&[plugin("noop")]);
        let work = tempfile::tempdir().expect("a folder");
        config.data_dir.get_or_insert_with(|| work.path().join("devnet"));
        let devnet = Devnet::start(config.clone()).await.expect("a devnet");
        config.addr = devnet.addr();
        let mut variables = variables(&devnet, plugins.path(), work.path());
        variables.insert("ENABLE_NOOP".to_owned(), "true".to_owned());
        let scene = Self { devnet, variables, config, plugins, work };
        warm(&scene.cache(), scene.plugins.path());
        scene
    }

    /// Lets the node compile its runners, for a test that is about that. Otherwise they are in its cache, if `cargo xtask test`
    /// has compiled them before.
    #[must_use]
    pub fn cold(self) -> Self {
        if let Err(error) = std::fs::remove_dir_all(self.cache()) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "removing what was compiled: {error}");
        }
        self
    }

    /// Puts what was compiled of the runners that the scene has by now into its node's cache, unless that is to be cold.
    pub(crate) fn warm_again(&self) {
        if self.cache().exists() {
            warm(&self.cache(), self.plugins.path());
        }
    }

    fn cache(&self) -> PathBuf {
        self.work.path().join("cache")
    }

    /// Sets a variable of the node.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    /// Makes the node a robot, with the credentials of the devnet's own.
    #[must_use]
    pub fn robot(mut self) -> Self {
        self.variables.remove("REG_SECRET");
        self.variables.remove("SECP256K1_PRIVHEX");
        let credentials = self.devnet.robot().registration_credentials.clone();
        self.set("ROBOT_REGISTRATION_CREDENTIALS", credentials)
    }

    /// Stops the devnet, does something meanwhile with the node's environment, and starts it again at the same
    /// address. Data, nodes and robots are kept; registrations, tokens and jobs are lost.
    pub async fn while_down<T>(
        self,
        meanwhile: impl AsyncFnOnce(&BTreeMap<String, String>) -> T,
    ) -> (Self, T) {
        let Self { devnet, variables, config, plugins, work } = self;
        devnet.shutdown().await;
        let result = meanwhile(&variables).await;
        let devnet = Devnet::start(config.clone()).await.expect("the devnet, restarted");
        (Self { devnet, variables, config, plugins, work }, result)
    }

    /// A folder for files of the test, removed with the scene.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// Starts a node.
    pub fn node(&self) -> NodeProcess {
        NodeProcess::run(&self.variables)
    }

    /// The folder that the node loads its runners from.
    pub fn plugins(&self) -> PathBuf {
        self.plugins.path().to_owned()
    }

    /// The requests to an endpoint so far.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<RequestRecord> {
        self.devnet.requests().into_iter().filter(|request| request.endpoint == Some(endpoint)).collect()
    }

    /// Waits for the `count`th request to an endpoint and returns the first `count`.
    pub async fn wait_for(&self, endpoint: Endpoint, count: usize, node: &NodeProcess) -> Vec<RequestRecord> {
        let what = format!("{count} requests to {endpoint:?}");
        let found = || Some(self.requests(endpoint)).filter(|all| all.len() >= count);
        let mut all = self
            .devnet
            .wait_until(TIMEOUT, &what, found)
            .await
            .unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()));
        all.truncate(count);
        all
    }

    /// Waits for a request for work with a valid token: the node is registered and logged in.
    pub async fn wait_for_work_wanted(&self, node: &NodeProcess) -> RequestRecord {
        self.devnet
            .wait_for_request(TIMEOUT, |request| {
                request.endpoint == Some(Endpoint::Lease) && request.bearer_valid
            })
            .await
            .unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()))
    }

    /// Submits a task that the noop runner executes in this time; in dedicated mode if the node is a robot.
    pub fn submit_noop(&self, duration: Duration) -> Uuid {
        let robot = self.variables.contains_key("ROBOT_REGISTRATION_CREDENTIALS")
            || self.variables.contains_key("ROBOT_REGISTRATION_CREDENTIALS_FILE");
        let mode = if robot { "dedicated" } else { "public" };
        let meta: Value = json!({"sleep_ms": u64::try_from(duration.as_millis()).expect("a short time")});
        let task = json!({"label": "t", "stage": "t", "capability": NOOP, "mode": mode, "meta": meta});
        self.devnet.submit_job(json!({"label": "scene", "tasks": [task]})).expect("a job").tasks[0]
    }

    /// Waits until a task has ended.
    pub async fn wait_for_end(&self, task: Uuid, node: &NodeProcess) -> TaskState {
        self.devnet
            .wait_for_task_end(task, TIMEOUT)
            .await
            .unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()))
    }
}

/// The times between each request and the next.
pub fn gaps(requests: &[RequestRecord]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}
