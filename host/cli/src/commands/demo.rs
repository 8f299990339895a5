//! `demo`: the whole path of a task on one machine. A scan goes in, a sandboxed component processes it, and
//! the artifacts come out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use posemesh_devnet::{Devnet, DevnetConfig, TaskState, TaskStatus};
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::config::{Config, Environment};
use posemesh_node_core::node::Node;
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_node_core::telemetry::{self, LogFormat, LogSettings};
use posemesh_text::{escaped, escaped_json};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::output::out;
use crate::progress::Progress;

/// Capability of the demo's one task.
const CAPABILITY: &str = "/posemesh/pointcloud/v1";
/// How long the task may stay without a change: until it is leased, and then between two heartbeats.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder with the runners.
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    plugins_dir: PathBuf,
    /// The scan to thin: a PLY file, gzipped or not.
    #[arg(long, value_name = "FILE")]
    scan: PathBuf,
    /// Folder for the artifacts.
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    out: PathBuf,
    /// Parameters of the runner as JSON: {"voxel_size": 0.002}, {"target_count": 5000, "outliers": {}}...
    #[arg(
        long,
        value_name = "JSON",
        default_value = r#"{"target_count": 12000, "outliers": {"std_ratio": 3}}"#
    )]
    meta: String,
    /// Show the logs of the node and the network too.
    #[arg(short, long)]
    verbose: bool,
}

/// Starts the network and the node, has one task executed, and copies its artifacts to a folder.
///
/// # Errors
/// When something can't be started, or the task fails.
pub(crate) async fn run(args: DemoArgs) -> Result<ExitCode> {
    let _log = telemetry::init(&LogSettings {
        format: LogFormat::Text,
        filter: if args.verbose { "info" } else { "error" }.to_owned(),
        ..LogSettings::default()
    })?;
    let meta: Value = serde_json::from_str(&args.meta).context("--meta is not JSON")?;
    if !args.scan.is_file() {
        bail!("--scan {}: there is no such file", args.scan.display());
    }
    let shutdown = Shutdown::new();
    let _listening = EarlySignals::catch()
        .and_then(Signals::install)
        .context("installing signal handlers")?
        .pass_on(&shutdown);

    let devnet = Devnet::start(DevnetConfig::default()).await.context("starting the local network")?;
    out!("network  DDS, DMS and a domain server on {}", devnet.domain_server_url());
    let work = tempfile::tempdir().context("creating a folder for the node")?;
    let (config, address) = node_config(&devnet, &args.plugins_dir, work.path())?;
    let node = Node::start(config).await?;
    node.load_runners().await?;
    out!("node     {address}, serving {}", escaped(&node.capabilities().join(", ")));
    if !node.capabilities().iter().any(|capability| capability == CAPABILITY) {
        bail!("no runner in {} serves {CAPABILITY}", args.plugins_dir.display());
    }
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { node.run(&shutdown).await }
    });

    let result = execute_task(&devnet, &args, meta, &shutdown).await;
    shutdown.stop();
    running.await.context("ending the node")??;
    devnet.shutdown().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// The configuration of a node for this network, with a new key; and the address of that key.
fn node_config(devnet: &Devnet, plugins_dir: &Path, work: &Path) -> Result<(Config, String)> {
    let wallet = Wallet::generate();
    let mut variables: BTreeMap<&str, String> = BTreeMap::from([
        ("DDS_BASE_URL", devnet.dds_url()),
        ("DMS_BASE_URL", devnet.dms_url()),
        ("REG_SECRET", devnet.registration_secret().to_owned()),
        ("SECP256K1_PRIVHEX", wallet.private_hex().expose().to_owned()),
        ("POLL_BACKOFF_MS_MIN", "50".to_owned()),
        ("POLL_BACKOFF_MS_MAX", "200".to_owned()),
        // Progress is sent with the next heartbeat: a short jitter lets the bar move.
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

/// Stores the scan, submits a job with one task, waits for its end and copies its artifacts.
async fn execute_task(devnet: &Devnet, args: &DemoArgs, meta: Value, shutdown: &Shutdown) -> Result<()> {
    let name = args.scan.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A domain server accepts few characters in names (protocol 6.8).
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let stored: String = name.chars().map(plain).take(100).collect();
    let scan = devnet.put_file(&stored, "ply", &args.scan).await.context("storing the scan in the domain")?;
    let bytes = std::fs::metadata(&args.scan).map(|meta| meta.len()).unwrap_or_default();
    out!("scan     {}, {bytes} bytes, stored as {scan}", escaped(&name));

    let job = devnet.submit_job(json!({
        "label": "demo",
        "tasks": [{
            "label": "thin the scan", "stage": "thin", "capability": CAPABILITY,
            "inputs_cids": [devnet.data_url(scan)], "outputs_prefix": "demo", "meta": meta, "max_attempts": 1,
        }],
    }))?;
    let Some(&task) = job.tasks.first() else { bail!("the job has no task") };
    out!("job      {}, task {task}", job.id);
    let started = Instant::now();
    let ended = tokio::select! {
        ended = follow(devnet, task) => ended?,
        () = shutdown.stopping().cancelled() => bail!("interrupted"),
    };
    if let Some(failure) = ended.failures.last() {
        bail!(
            "the task failed: {}\n{}",
            escaped(&failure.reason),
            escaped_json(&format!("{:#}", failure.details))
        );
    }
    let Some(completion) = ended.completions.last() else {
        bail!("the task ended as {:?} without a result", ended.status)
    };
    out!("result   {} in {:.1?}, {} heartbeats", ended.status.as_str(), started.elapsed(), ended.heartbeats);
    for (path, bytes) in copy_artifacts(devnet, completion, &args.out).await? {
        out!("         {}  {bytes} bytes", escaped(&path.display().to_string()));
    }
    Ok(())
}

/// Shows the task's progress, as the job server knows it, until the task ends.
async fn follow(devnet: &Devnet, task: Uuid) -> Result<TaskState> {
    let mut progress = Progress::new("pointcloud");
    let mut seen = (TaskStatus::Queued, 0);
    loop {
        let changed = |state: &TaskState| (state.status, state.heartbeats) != seen;
        let state = devnet.wait_for(task, CHANGE_TIMEOUT, changed).await.context(
            "the task has not changed for two minutes; `--verbose` shows the logs of the node and the network",
        )?;
        progress.show(&state.progress);
        seen = (state.status, state.heartbeats);
        if state.status.is_end() {
            progress.finish();
            return Ok(state);
        }
    }
}

/// Copies the artifacts that the node has reported from the domain server to `out`.
async fn copy_artifacts(devnet: &Devnet, completion: &Value, out: &Path) -> Result<Vec<(PathBuf, u64)>> {
    tokio::fs::create_dir_all(out).await.with_context(|| format!("creating the folder {}", out.display()))?;
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
