//! What a node is measured in: servers in this process, runners, and folders.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use posemesh_devnet::{Devnet, DevnetConfig, Endpoint};
use posemesh_tests::{NodeProcess, node_binary, plugin, variables};
use tempfile::TempDir;

/// How long anything here may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

/// A devnet, and folders for a node with the runners `noop` and `pointcloud`.
pub(crate) struct Scene {
    dir: TempDir,
    pub(crate) devnet: Devnet,
}

impl Scene {
    /// Starts the devnet.
    pub(crate) async fn new(leases_per_node: usize) -> Result<Self> {
        let scene = Self::empty(leases_per_node).await?;
        for name in ["noop", "pointcloud"] {
            std::fs::copy(plugin(name), scene.path("plugins").join(name).with_extension("wasm"))
                .with_context(|| format!("copying the runner `{name}`"))?;
        }
        Ok(scene)
    }

    /// Starts the devnet, for a node without runners.
    pub(crate) async fn empty(leases_per_node: usize) -> Result<Self> {
        let dir = tempfile::tempdir().context("making a folder")?;
        std::fs::create_dir(dir.path().join("plugins")).context("making a folder")?;
        let config = DevnetConfig { leases_per_node, ..DevnetConfig::default() };
        Ok(Self { dir, devnet: Devnet::start(config).await.context("starting a devnet")? })
    }

    /// A place for files.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a node with these settings beside the usual ones, and waits until it asks for work.
    pub(crate) async fn start(&self, settings: &[(&str, String)]) -> Result<(NodeProcess, Duration)> {
        let variables = self.variables(settings);
        let before = self.devnet.requests().len() as u64;
        let began = Instant::now();
        let process = NodeProcess::start(&node_binary(), &["run"], &variables);
        let asked = self.devnet.wait_for_request(TIMEOUT, |request| {
            request.endpoint == Some(Endpoint::Lease) && request.bearer_valid && request.seq >= before
        });
        let asked = asked.await.with_context(|| format!("starting a node: {}", process.log()))?;
        Ok((process, asked.at.duration_since(began)))
    }

    /// The environment of a node, with these settings beside the usual ones.
    pub(crate) fn variables(&self, settings: &[(&str, String)]) -> BTreeMap<String, String> {
        let mut variables = variables(&self.devnet, &self.path("plugins"), &self.path("node"));
        variables.insert("ENABLE_NOOP".to_owned(), "true".to_owned());
        variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        variables
    }
}
