//! The plugin host: what a task pays for the sandbox, loading with and without the cache, the time from a
//! new file to its being live, and the memory of runners and runs.

mod load;
mod run;
mod swap;
mod weight;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use posemesh_plugin_host::component::{Loader, LoaderSettings};
use posemesh_plugin_host::generation::Generation;
use posemesh_plugin_host::policy::Policy;
use posemesh_plugin_host::sandbox::Sandbox;
use posemesh_tests::by_hand::{Parts, runner};

/// Measures everything and prints a table for each part.
///
/// # Errors
/// When something can't be built up; a measurement itself does not fail.
pub async fn measure() -> Result<()> {
    // Memory first: what later parts leave behind would be in it.
    weight::measure().await?;
    run::measure().await?;
    load::measure().await?;
    swap::measure().await
}

/// A loader as the node has it: components compile in a process of their own, the node's binary.
async fn loader(cache: Option<PathBuf>) -> Result<Loader> {
    let mut settings = LoaderSettings { cache, ..LoaderSettings::default() };
    settings.compiler.program = Some(posemesh_tests::node_binary());
    let sandbox = Sandbox::new().context("setting up wasmtime")?;
    Ok(Loader::open(sandbox, settings).await?)
}

/// Takes a file through every stage.
async fn load(loader: &Loader, path: &Path) -> Result<Generation> {
    Ok(Generation::load(loader, path, 1, &Policy::default(), &|_| None, &|_| ()).await?)
}

/// The smallest runner there is: no import, `run` returns at once.
fn smallest(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("smallest.wasm");
    std::fs::write(&path, runner("smallest", &Parts::default())).context("writing the smallest runner")?;
    Ok(path)
}

/// A runner of the project.
fn built(name: &str) -> PathBuf {
    posemesh_tests::plugins_dir().join(format!("{name}.wasm"))
}

/// One that is shared by several tasks.
async fn shared(loader: &Loader, path: &Path) -> Result<Arc<Generation>> {
    Ok(Arc::new(load(loader, path).await?))
}
