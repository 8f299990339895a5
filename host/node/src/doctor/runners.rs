//! Each runner, taken through every stage as the node would: read, compiled, described, granted.

use std::sync::Arc;

use posemesh_plugin_host::load::{Loader, RunnerEngine};
use posemesh_plugin_host::registry::{Registry, RegistrySettings, RunnerView, Scan};
use posemesh_runner_api::runner::Runners as _;
use tokio::task::spawn_blocking;

use super::finding::{Area, Finding, Report};
use crate::admission::MemoryBudget;
use crate::config::Config;

pub(super) async fn examine(config: &Config, report: Report<'_>) {
    if config.obstacles().iter().any(|obstacle| obstacle.variable == "PLUGINS_DIR") {
        // Told with the folders.
        return;
    }
    let set = config.memory_budget;
    let budget = spawn_blocking(move || set.map_or_else(MemoryBudget::of_machine, MemoryBudget::of));
    let Ok(budget) = budget.await else { return };
    let registry = match registry(config, budget).await {
        Ok(registry) => registry,
        Err(error) => {
            report(Finding::error(Area::Runners, error, ""));
            return;
        }
    };
    if let Err(error) = registry.scan(Scan::Now).await {
        report(Finding::error(Area::Runners, format_args!("reading PLUGINS_DIR: {error}"), ""));
        return;
    }
    let runners = registry.view();
    if runners.is_empty() {
        report(Finding::error(
            Area::Runners,
            format_args!("PLUGINS_DIR={} has no runner", config.paths.plugins.display()),
            "put one there, NAME.wasm: without a capability the node neither registers nor takes a lease",
        ));
    }
    runners.iter().for_each(|runner| of_runner(runner, report));
    if !runners.is_empty() && registry.capabilities().borrow().is_empty() {
        report(Finding::error(
            Area::Runners,
            "no runner serves a capability, so the node neither registers nor takes a lease",
            "the lines about the runners say why",
        ));
    }
    if let Some(missing) = config.noop_check().missing_file() {
        // Says what helps.
        report(Finding::warning(Area::Runners, missing, ""));
    }
    memory(config, budget, registry.needs().memory_bytes, report);
}

/// As the node's own, but for what outlives it: who served which capability is not asked.
async fn registry(config: &Config, budget: MemoryBudget) -> Result<Registry, String> {
    let mut settings = config.loader.clone();
    settings.maximum.memory_bytes = settings.maximum.memory_bytes.min(budget.largest_runner());
    // Not made for this: a folder that can't be used is told of with the folders.
    settings.cache = settings.cache.filter(|cache| cache.is_dir());
    let engine = RunnerEngine::new().map_err(|error| error.to_string())?;
    let loader = Loader::open(engine, settings).await.map_err(|error| error.to_string())?;
    let settings = RegistrySettings {
        withheld: config.noop.withheld(),
        environment: config.noop.environment(),
        ..RegistrySettings::new(&config.paths.plugins)
    };
    Ok(Registry::new(Arc::new(loader), settings))
}

fn of_runner(runner: &RunnerView, report: Report<'_>) {
    let name = &runner.name;
    if let Some(refused) = &runner.refused {
        let text = format!("{name}: refused after `{}`: {}", refused.passed, refused.reason);
        let cure = format!(
            "correct {name}.wasm or {name}.toml; the node takes them as soon as they have changed, and \
             `posemesh-node plugin show FILE` tries without one"
        );
        report(Finding::error(Area::Runners, text, cure));
    }
    let Some(live) = runner.generations.first() else { return };
    if runner.serves.is_empty() {
        report(Finding::warning(
            Area::Runners,
            format_args!(
                "{name} {}: serves nothing; it claims {}",
                live.version,
                live.capabilities.join(", ")
            ),
            "another runner with a higher priority serves it, or it is the noop runner and ENABLE_NOOP is not true",
        ));
    } else {
        report(Finding::ok(
            Area::Runners,
            format_args!("{name} {}: serves {}", live.version, runner.serves.join(", ")),
        ));
    }
    for asked in &live.not_granted {
        report(Finding::warning(
            Area::Runners,
            format_args!("{name}: asked for and not granted: {asked}"),
            format_args!(
                "{name}.toml beside it grants, docs/security.md says what that means; or leave it so"
            ),
        ));
    }
}

/// Whether so many tasks fit into the memory as are to run at a time.
fn memory(config: &Config, budget: MemoryBudget, largest: u64, report: Report<'_>) {
    let tasks = config.worker.max_concurrency as u64;
    let each = budget.of_task(largest);
    let fit = budget.bytes() / each.max(1);
    if fit < tasks {
        report(Finding::warning(
            Area::Machine,
            format_args!(
                "MAX_CONCURRENCY={tasks}, but the memory for tasks ({} MiB) is enough for {fit} of the largest runner at a \
                 time ({} MiB each)",
                budget.bytes() >> 20,
                each >> 20
            ),
            "lower MAX_CONCURRENCY, or set memory_bytes in NAME.toml, [limits], or a larger MEMORY_BUDGET",
        ));
    }
}
