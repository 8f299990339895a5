//! The loader and the runners that every measurement of the plugin host starts with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::node_binary;

/// A loader like the node's: components are compiled in a process of their own, the node's binary.
pub(crate) async fn loader(cache: Option<PathBuf>) -> Result<Loader> {
    let mut settings = LoaderSettings { cache, ..LoaderSettings::default() };
    settings = settings.with_program(node_binary());
    let sandbox = RunnerEngine::new().context("setting up wasmtime")?;
    Ok(Loader::open(sandbox, settings).await?)
}

/// Loads a component: every stage from the file to a generation that could go live.
pub(crate) async fn load(loader: &Loader, path: &Path) -> Result<Generation> {
    Ok(Generation::load(loader, path, 1, &Policy::default(), &|_| None, &|_| ()).await?)
}

/// Writes the smallest possible runner: no import, and `run` returns at once.
pub(crate) fn smallest(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("smallest.wasm");
    std::fs::write(&path, runner("smallest", &Parts::default())).context("writing the smallest runner")?;
    Ok(path)
}
