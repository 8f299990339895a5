//! `plugin list | rescan | rollback | show | run | test`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use uuid::Uuid;

use super::args::{PluginCommand, PluginRunArgs};
use super::node_api;
use super::progress::Progress;
use super::runner_list;
use posemesh_plugin_host::component::{Loader, LoaderSettings};
use posemesh_plugin_host::generation::Generation;
use posemesh_plugin_host::policy::Policy;
use posemesh_plugin_host::registry::{Registry, RegistrySettings, Scan};
use posemesh_plugin_host::sandbox::Sandbox;
use posemesh_plugin_host::stage::Stage;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::run::{FileRun, capability, check, run};
use posemesh_runner_cases::{Case, find};

/// Does a `plugin` command.
///
/// # Errors
/// When it can't be begun; a refused runner or a failing case is told by the exit code.
pub async fn plugin(command: PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::List { plugins_dir: Some(plugins_dir), .. } => list(plugins_dir).await,
        PluginCommand::List { plugins_dir: None, node } => node_api::list(&node).await,
        PluginCommand::Rescan(node) => node_api::rescan(&node).await,
        PluginCommand::Rollback { name, node } => node_api::rollback(&name, &node).await,
        PluginCommand::Show { component } => show(&load(&component).await?),
        PluginCommand::Run(args) => run_once(args).await,
        PluginCommand::Test { component, cases, keep } => test(&component, &cases, keep.as_deref()).await,
    }
}

/// Without a cache: what an author tries was built a moment ago.
async fn loader() -> anyhow::Result<Loader> {
    Ok(Loader::open(Sandbox::new()?, LoaderSettings::default()).await?)
}

async fn load(component: &Path) -> anyhow::Result<Generation> {
    let loader = loader().await?;
    let policy = Policy::read(&component.with_extension("toml"))?;
    let environment = |name: &str| std::env::var(name).ok();
    let reached = |stage: Stage| tracing::debug!(%stage, "runner {stage}");
    Ok(Generation::load(&loader, component, 1, &policy, &environment, &reached).await?)
}

async fn list(plugins_dir: PathBuf) -> anyhow::Result<ExitCode> {
    let settings = RegistrySettings {
        plugins_dir: plugins_dir.clone(),
        withheld: BTreeSet::new(),
        environment: BTreeMap::new(),
    };
    let registry = Registry::new(Arc::new(loader().await?), settings);
    registry
        .scan(Scan::Now)
        .await
        .with_context(|| format!("reading the folder {}", plugins_dir.display()))?;
    let listed = registry.view();
    if listed.is_empty() {
        println!("no runners in {}: a runner is one NAME.wasm", plugins_dir.display());
    }
    print!("{}", runner_list::text(&listed));
    let refused = listed.iter().any(|runner| runner.refused.is_some());
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(runner: &Generation) -> anyhow::Result<ExitCode> {
    let shown = serde_json::json!({
        "file": runner.path,
        "sha256": runner.digest,
        "bytes": runner.bytes,
        "description": runner.description,
        "granted": {
            "limits": runner.grant.limits,
            "environment": runner.grant.environment,
            "network_hosts": runner.grant.network_hosts,
            "private_network_hosts": runner.grant.private_network_hosts,
            "directories": runner.grant.directories,
        },
        "not_granted": runner.grant.not_granted,
    });
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(ExitCode::SUCCESS)
}

async fn run_once(args: PluginRunArgs) -> anyhow::Result<ExitCode> {
    let meta = match args.meta.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading --meta {path}"))?,
        None => args.meta.clone(),
    };
    let meta = serde_json::from_str(&meta).context("--meta is not JSON")?;
    let (cids, inputs) = inputs(&args.inputs)?;
    let runner = load(&args.component).await?;
    let capability = capability(&runner, args.capability.as_deref()).map_err(anyhow::Error::msg)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = meta;
    task.inputs_cids = cids;

    let reports = Reports::new(ReportLimits::default());
    let started = Instant::now();
    let work = run(&runner, FileRun { task, inputs, out: args.out.clone() }, reports.clone());
    match follow(&runner.name, work, &reports).await {
        Ok(artifacts) => {
            for artifact in artifacts {
                println!("{}  {} bytes", args.out.join(&artifact.logical_path).display(), artifact.size);
            }
            eprintln!("done in {:.2?}", started.elapsed());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("error: {error}");
            if let posemesh_runner_cases::run::FileRunError::Failed(failure) = &error {
                eprintln!("{}", serde_json::to_string_pretty(&failure.details)?);
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// `[CID=]FILE`, in the order given.
fn inputs(given: &[String]) -> anyhow::Result<(Vec<String>, BTreeMap<String, PathBuf>)> {
    let (mut cids, mut files) = (Vec::new(), BTreeMap::new());
    for input in given {
        let (cid, path) = match input.split_once('=') {
            Some((cid, path)) => (cid.to_owned(), PathBuf::from(path)),
            None => {
                let path = PathBuf::from(input);
                let name = path.file_name().with_context(|| format!("--input {input}: not a file"))?;
                (name.to_string_lossy().into_owned(), path)
            }
        };
        if !path.is_file() {
            bail!("--input {input}: there is no file {}", path.display());
        }
        cids.push(cid.clone());
        if files.insert(cid.clone(), path).is_some() {
            bail!("--input {input}: there are two inputs {cid}; name one as CID=FILE");
        }
    }
    Ok((cids, files))
}

/// Waits for a run, shows its progress, and stops it when the user says so.
async fn follow<T>(label: &str, work: impl Future<Output = T>, reports: &Reports) -> T {
    let mut progress = Progress::new(label);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                progress.show(&reports.latest_progress());
                progress.finish();
                return result;
            }
            _ = tick.tick() => progress.show(&reports.latest_progress()),
            Ok(()) = tokio::signal::ctrl_c() => reports.stop(posemesh_runner_api::reports::StopReason::Cancelled),
        }
    }
}

async fn test(component: &Path, folders: &[PathBuf], keep: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut cases: Vec<Case> = Vec::new();
    for folder in folders {
        cases.extend(find(folder)?);
    }
    let runner = Arc::new(load(component).await?);
    let temp = tempfile::tempdir().context("making a folder for what the cases produce")?;
    let out = keep.unwrap_or(temp.path());
    let mut failed = 0;
    for case in &cases {
        let dir = out.join(&case.name);
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let started = Instant::now();
        let result = check(&runner, case, &dir, Reports::new(ReportLimits::default())).await;
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!("case {}/{} ... {word} ({:.2?})", runner.name, case.name, started.elapsed());
        if let Err(wrong) = result {
            failed += 1;
            wrong.iter().for_each(|line| println!("    {line}"));
        }
    }
    println!("{}: {} passed, {failed} failed", runner.name, cases.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
