//! Loads a component as the node would, for the commands that work without one: with the node's settings, by its cache.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use posemesh_node_core::config::{Config, Environment};
use posemesh_plugin_host::load::{LoadError, LoadStage, Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use posemesh_text::escaped;
use tokio::sync::watch;

use crate::output::tell;

/// How long compiling goes on before somebody who waits is told what for.
const SILENT: Duration = Duration::from_secs(1);

/// A loader with the node's settings: limits, what compiling may cost, the sandbox (`SANDBOX`) and the cache of compiled
/// runners (`CACHE_DIR`), so that what the node or an earlier command has compiled is not compiled again.
///
/// # Errors
/// When a setting is wrong, or the sandbox can't be set up on this machine.
pub(crate) async fn loader(environment: &Environment) -> Result<Loader> {
    loader_with(Config::loading(environment)?).await
}

/// The same, with these settings.
///
/// # Errors
/// When the sandbox can't be set up on this machine.
pub(crate) async fn loader_with(settings: LoaderSettings) -> Result<Loader> {
    let engine = RunnerEngine::new()?;
    let loader = match Loader::open(engine.clone(), settings.clone()).await {
        Ok(loader) => loader,
        // It would only have saved time.
        Err(error) => {
            tell!("warning: compiled runners are not kept: {error}");
            Loader::open(engine, LoaderSettings { cache: None, ..settings }).await?
        }
    };
    if let Some(why) = loader.distrusted_cache() {
        tell!("warning: {}", escaped(why));
    }
    loader.check_sandbox().await?;
    Ok(loader)
}

/// Loads a component with the policy in `NAME.toml` beside it. Says so when compiling takes long.
///
/// # Errors
/// When a setting is wrong, or the policy or the component is refused.
pub(crate) async fn load(component: &Path, environment: &Environment) -> Result<Generation> {
    let loader = loader(environment).await?;
    load_by(&loader, component).await
}

/// The same, by a loader that is there.
///
/// # Errors
/// When the policy or the component is refused.
pub(crate) async fn load_by(loader: &Loader, component: &Path) -> Result<Generation> {
    let policy = Policy::read(&component.with_extension("toml"))?;
    let stages = watch::Sender::new(LoadStage::Found);
    Ok(load_in_stages(loader, component, &policy, &stages).await?)
}

/// The same with a policy that was read, for callers that want to know which stage a component does not pass.
///
/// # Errors
/// When the component is refused; `stages` has the last stage that it passed.
pub(crate) async fn load_in_stages(
    loader: &Loader,
    component: &Path,
    policy: &Policy,
    stages: &watch::Sender<LoadStage>,
) -> Result<Generation, LoadError> {
    // As the node has it: from the real environment, since the file of variables may hold secrets.
    let value_of = |name: &str| std::env::var(name).ok();
    let seen = stages.subscribe();
    let reached = |stage: LoadStage| {
        tracing::debug!(%stage, "runner {stage}");
        stages.send_replace(stage);
    };
    let name = component.file_stem().unwrap_or(component.as_os_str()).to_string_lossy();
    let loading = Generation::load(loader, component, 1, policy, &value_of, &reached);
    tokio::pin!(loading);
    tokio::select! {
        biased;
        loaded = &mut loading => return loaded,
        () = tell_of_compiling(&name, seen) => {}
    }
    loading.await
}

/// Says that a component is being compiled, if that takes long, and how long it took.
async fn tell_of_compiling(name: &str, mut seen: watch::Receiver<LoadStage>) {
    // Ends with the load at the latest: its end drops this.
    if seen.wait_for(|stage| *stage >= LoadStage::Verified).await.is_err() {
        return;
    }
    let began = Instant::now();
    let mut compiled = async || seen.wait_for(|stage| *stage >= LoadStage::Compiled).await.map(drop);
    if tokio::time::timeout(SILENT, compiled()).await.is_ok() {
        return;
    }
    tell!("compiling {} ...", escaped(name));
    if compiled().await.is_ok() {
        tell!("compiled {} in {:.1?}; it is kept until the file changes", escaped(name), began.elapsed());
    }
}
