//! `demo`: a whole round on one machine. A scan goes in, a sandboxed component works on it, the result
//! comes out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use posemesh_devnet::{Devnet, DevnetConfig, TaskState, TaskStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use super::args::DemoArgs;
use super::progress::Progress;
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::config::{Config, Environment};
use posemesh_node_core::node::Node;
use posemesh_node_core::shutdown::Shutdown;
use posemesh_node_core::telemetry::{self, LogFormat};

/// What the demo asks for.
const CAPABILITY: &str = "/posemesh/pointcloud/v1";
/// How long the node may take to get to the task, and then between two signs of life.
const PATIENCE: Duration = Duration::from_secs(120);

/// Shows the round.
///
/// # Errors
/// When something can't be started, or no artifacts come out; the text says what and why.
pub async fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text, if args.verbose { "info" } else { "error" })?;
    let meta: Value = serde_json::from_str(&args.meta).context("--meta is not JSON")?;
    if !args.scan.is_file() {
        bail!("--scan {}: there is no such file", args.scan.display());
    }
    let shutdown = Shutdown::new();
    let _listening = shutdown.listen().context("installing signal handlers")?;

    let devnet = Devnet::start(DevnetConfig::default()).await.context("starting the local network")?;
    println!("network  DDS, DMS and a domain server on {}", devnet.domain_server_url());
    let work = tempfile::tempdir().context("making a folder for the node")?;
    let (config, address) = node_config(&devnet, &args.plugins_dir, work.path())?;
    let node = Node::start(config).await?;
    println!("node     {address}, serving {}", node.capabilities().join(", "));
    if !node.capabilities().iter().any(|capability| capability == CAPABILITY) {
        bail!("no runner in {} serves {CAPABILITY}", args.plugins_dir.display());
    }
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { node.run(&shutdown).await }
    });

    let result = round(&devnet, &args, meta, &shutdown).await;
    shutdown.drain();
    running.await.context("ending the node")??;
    devnet.shutdown().await;
    result.map(|()| ExitCode::SUCCESS)
}

fn node_config(devnet: &Devnet, plugins_dir: &Path, work: &Path) -> anyhow::Result<(Config, String)> {
    let wallet = Wallet::generate();
    let mut variables: BTreeMap<&str, String> = BTreeMap::from([
        ("DDS_BASE_URL", devnet.dds_url()),
        ("DMS_BASE_URL", devnet.dms_url()),
        ("REG_SECRET", devnet.registration_secret().to_owned()),
        ("SECP256K1_PRIVHEX", wallet.private_hex().expose().to_owned()),
        ("POLL_BACKOFF_MS_MIN", "50".to_owned()),
        ("POLL_BACKOFF_MS_MAX", "200".to_owned()),
        // So that the bar moves: reports go out with a heartbeat soon after they come.
        ("HEARTBEAT_JITTER_MS", "50".to_owned()),
    ]);
    variables.insert("STATUS_ADDR", "off".to_owned());
    variables.insert("PLUGINS_DIR", plugins_dir.display().to_string());
    variables.insert("WORK_DIR", work.join("work").display().to_string());
    variables.insert("CACHE_DIR", work.join("cache").display().to_string());
    let environment =
        Environment::from_os(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    Ok((Config::load(&environment)?, wallet.address().to_owned()))
}

async fn round(devnet: &Devnet, args: &DemoArgs, meta: Value, shutdown: &Shutdown) -> anyhow::Result<()> {
    let name = args.scan.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // The domain's rules for names are narrow.
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let stored: String = name.chars().map(plain).take(100).collect();
    let scan = devnet.put_file(&stored, "ply", &args.scan).await.context("storing the scan in the domain")?;
    let bytes = std::fs::metadata(&args.scan).map(|meta| meta.len()).unwrap_or_default();
    println!("scan     {name}, {bytes} bytes, stored as {scan}");

    let job = devnet.submit_job(json!({
        "label": "demo",
        "tasks": [{
            "label": "thin the scan", "stage": "thin", "capability": CAPABILITY,
            "inputs_cids": [devnet.data_url(scan)], "outputs_prefix": "demo", "meta": meta, "max_attempts": 1,
        }],
    }))?;
    let Some(&task) = job.tasks.first() else { bail!("the job has no task") };
    println!("job      {}, task {task}", job.id);
    let started = Instant::now();
    let ended = tokio::select! {
        ended = follow(devnet, task) => ended?,
        () = shutdown.draining().cancelled() => bail!("interrupted"),
    };
    if let Some(failure) = ended.failures.last() {
        bail!("the task failed: {}\n{:#}", failure.reason, failure.details);
    }
    let Some(completion) = ended.completions.last() else {
        bail!("the task ended as {:?} without a result", ended.status)
    };
    println!(
        "result   {} in {:.1?}, {} heartbeats",
        ended.status.as_str(),
        started.elapsed(),
        ended.heartbeats
    );
    for (path, bytes) in collect(devnet, completion, &args.out).await? {
        println!("         {}  {bytes} bytes", path.display());
    }
    Ok(())
}

/// Shows the task's progress as the job server knows it, until it ends.
async fn follow(devnet: &Devnet, task: Uuid) -> anyhow::Result<TaskState> {
    let mut progress = Progress::new("pointcloud");
    let mut seen = (TaskStatus::Queued, 0);
    loop {
        let moved = |state: &TaskState| (state.status, state.heartbeats) != seen;
        let state = devnet.wait_for(task, PATIENCE, moved).await.context(
            "nothing happened to the task for two minutes; `--verbose` shows the logs of node and network",
        )?;
        progress.show(&state.progress);
        seen = (state.status, state.heartbeats);
        if state.status.is_end() {
            progress.finish();
            return Ok(state);
        }
    }
}

/// Copies the artifacts that the node has reported out of the domain.
async fn collect(devnet: &Devnet, completion: &Value, out: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    tokio::fs::create_dir_all(out).await.with_context(|| format!("making {}", out.display()))?;
    let artifacts = completion.pointer("/meta/artifacts").and_then(Value::as_array);
    let mut copied = Vec::new();
    for artifact in artifacts.into_iter().flatten() {
        let text = |field: &str| artifact.get(field).and_then(Value::as_str).unwrap_or_default();
        let id: Uuid = text("id").parse().context("the node reported an artifact without an id")?;
        let source =
            devnet.data_path(id).context("the node reported an artifact that is not in the domain")?;
        let file_name = text("logical_path").rsplit('/').next().unwrap_or_default().to_owned();
        let target = out.join(file_name);
        let bytes = tokio::fs::copy(&source, &target)
            .await
            .with_context(|| format!("copying an artifact to {}", target.display()))?;
        copied.push((target, bytes));
    }
    Ok(copied)
}
