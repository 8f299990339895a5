//! Loads a component as the node would, for the commands that work without one.

use std::path::Path;

use anyhow::Result;
use posemesh_plugin_host::load::LoadStage;
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;

/// A loader without a cache: the component that an author tries has just been built. It keeps runners apart as the node
/// would (`SANDBOX`).
///
/// # Errors
/// When the sandbox can't be set up on this machine.
pub(crate) async fn loader() -> Result<Loader> {
    let mut settings = LoaderSettings::default();
    if let Some(mode) = std::env::var("SANDBOX").ok().filter(|mode| !mode.trim().is_empty()) {
        settings.sandbox.mode =
            mode.trim().parse().map_err(|error| anyhow::anyhow!("SANDBOX={mode:?}: {error}"))?;
    }
    let loader = Loader::open(RunnerEngine::new()?, settings).await?;
    loader.check_sandbox().await?;
    Ok(loader)
}

/// Loads a component with the policy in `NAME.toml` beside it.
///
/// # Errors
/// When the policy or the component is refused.
pub(crate) async fn load(component: &Path) -> Result<Generation> {
    let loader = loader().await?;
    let policy = Policy::read(&component.with_extension("toml"))?;
    let environment = |name: &str| std::env::var(name).ok();
    let reached = |stage: LoadStage| tracing::debug!(%stage, "runner {stage}");
    Ok(Generation::load(&loader, component, 1, &policy, &environment, &reached).await?)
}
