//! The local network of `plugin watch`, with a node that serves what is written.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use posemesh_devnet::{Devnet, DevnetConfig};
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::config::{Config, Environment};
use posemesh_node_core::node::{LeaseTotals, Node, NodeError};
use posemesh_node_core::shutdown::Shutdown;
use posemesh_plugin_host::load::LoadStage;
use posemesh_plugin_host::manifest::Limits;
use posemesh_plugin_host::registry::{Registry, Scan};
use posemesh_text::escaped;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Settings of the author's environment that the node gets too, so that a runner finds in it what its cases found.
const PASSED_ON: [&str; 6] = [
    "SANDBOX",
    "MAX_COMPONENT_BYTES",
    "DESCRIBE_TIMEOUT_SECS",
    "COMPILE_TIMEOUT_SECS",
    "COMPILE_MEMORY_BYTES",
    "COMPILE_PARALLELISM",
];

/// The servers, the node, and its folder of runners.
pub(super) struct LocalNetwork {
    devnet: Devnet,
    registry: Arc<Registry>,
    running: JoinHandle<Result<LeaseTotals, NodeError>>,
    plugins: TempDir,
    _work: TempDir,
}

impl LocalNetwork {
    /// Starts the servers and the node, which ends with `shutdown`. `cache` has what was compiled for the cases.
    ///
    /// # Errors
    /// When something can't be started.
    pub(super) async fn start(
        addr: SocketAddr,
        status_addr: Option<SocketAddr>,
        cache: &Path,
        environment: &Environment,
        shutdown: &Shutdown,
    ) -> Result<Self> {
        let config = DevnetConfig { addr, ..DevnetConfig::default() };
        let devnet = Devnet::start(config).await.context("starting the local network")?;
        let plugins = tempfile::tempdir().context("making a folder for the runner")?;
        let work = tempfile::tempdir().context("making a folder for the node")?;
        let pairs = [
            ("DDS_BASE_URL", devnet.dds_url()),
            ("DMS_BASE_URL", devnet.dms_url()),
            ("REG_SECRET", devnet.registration_secret().to_owned()),
            ("SECP256K1_PRIVHEX", Wallet::generate().private_hex().expose().to_owned()),
            ("PLUGINS_DIR", plugins.path().display().to_string()),
            ("WORK_DIR", work.path().join("work").display().to_string()),
            ("CACHE_DIR", cache.display().to_string()),
            ("STATUS_ADDR", status_addr.map_or("off".to_owned(), |addr| addr.to_string())),
            ("POLL_BACKOFF_MS_MIN", "50".to_owned()),
            ("POLL_BACKOFF_MS_MAX", "200".to_owned()),
            ("HEARTBEAT_JITTER_MS", "50".to_owned()),
            // Whoever ends the command wants its prompt back.
            ("SHUTDOWN_GRACE_SECS", "2".to_owned()),
        ];
        let mut variables: BTreeMap<&str, String> = pairs.into();
        let mut limits = Vec::new();
        let _ = Limits::default().map(|limit, value| {
            limits.push(limit.variable());
            value
        });
        for name in PASSED_ON.into_iter().chain(limits) {
            if let Some((value, _)) = environment.get(name) {
                variables.insert(name, value.to_owned());
            }
        }
        let settings = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let node = Node::start(Config::load(&Environment::from_os(settings))?).await?;
        let (registry, shutdown) = (node.runners(), shutdown.clone());
        let running = tokio::spawn(async move { node.run(&shutdown).await });
        Ok(Self { devnet, registry, running, plugins, _work: work })
    }

    /// The folder that the node loads its runners from.
    pub(super) fn plugins(&self) -> &Path {
        self.plugins.path()
    }

    /// Lets the node load a version that was put into its folder; says what serves now.
    ///
    /// # Errors
    /// When the node refuses it.
    pub(super) async fn serve(&self, component: &Path, digest: &str) -> Result<String> {
        self.registry.scan(Scan::Now).await.context("loading the runner in the node")?;
        let name = component.file_stem().unwrap_or_default().to_string_lossy();
        let Some(runner) = self.registry.view().into_iter().find(|runner| runner.name == name) else {
            bail!("the node has no runner {}", escaped(&name));
        };
        let is_it = |stage: LoadStage| matches!(stage, LoadStage::Live | LoadStage::Canary);
        match runner.generations.iter().find(|one| one.sha256 == digest && is_it(one.stage)) {
            Some(one) => Ok(format!("{} {} #{}", escaped(&name), escaped(&one.version), one.number)),
            None => {
                let why = runner.refused.map_or("it has not said why".to_owned(), |refused| refused.reason);
                bail!("the node refuses it: {}", escaped(&why))
            }
        }
    }

    /// What somebody types to give it a job. The credentials are valid nowhere else.
    pub(super) fn instructions(&self) -> String {
        let (devnet, base) = (&self.devnet, self.devnet.domain_server_url());
        format!(
            "A node, DDS, DMS and a domain server on {base} (Ctrl-C stops them). To give the node a job, in another \
             terminal:\n  export DDS_BASE_URL={} DMS_BASE_URL={}\n  export TOKEN={} DOMAIN_ID={}",
            devnet.dds_url(),
            devnet.dms_url(),
            devnet.app_token(),
            devnet.domain_id(),
        )
    }

    /// Waits until the node has ended, and ends the servers. The node's `shutdown` has been asked for.
    ///
    /// # Errors
    /// Why the node has ended, if it was not asked.
    pub(super) async fn close(self) -> Result<()> {
        let ended = self.running.await.context("ending the node");
        self.devnet.shutdown().await;
        ended??;
        Ok(())
    }
}
