//! `job submit`: files go into the domain, a job of one task is submitted for them, and its artifacts come back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_text::escaped;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commands::job::domain::OpenDomain;
use crate::commands::job::fetch::{artifacts, fetch_all};
use crate::commands::job::follow::follow;
use crate::commands::job::server::{Network, NetworkArgs, persist};
use crate::input_arg::{Input, parse_inputs};
use crate::meta_arg;
use crate::output::{out, tell};

/// The most ids that one CID may list: what nodes of this program take.
const MAX_IDS: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The capability that the task asks for.
    #[arg(long, value_name = "CAPABILITY")]
    capability: String,
    /// Input files, of any size: each is stored in the domain, under its name or NAME. Files with the same NAME before `=` are
    /// the parts of one input, under the names of the files. Can be repeated.
    #[arg(long = "input", value_name = "[NAME=]FILE", num_args = 1..)]
    inputs: Vec<String>,
    /// Inputs that are in the domain already: data ids or data URLs. They come after those of `--input`.
    #[arg(long = "input-id", value_name = "ID", num_args = 1..)]
    input_ids: Vec<String>,
    /// Parameters of the task: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    meta: String,
    /// The domain. Default: DOMAIN_ID.
    #[arg(long, value_name = "ID")]
    domain: Option<Uuid>,
    /// What people see of the job.
    #[arg(long, value_name = "TEXT", default_value = "job")]
    label: String,
    /// Goes before other jobs by being higher.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// How often the task may be tried.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=100))]
    max_attempts: Option<u64>,
    /// Comes before the paths of the artifacts.
    #[arg(long, value_name = "PATH")]
    outputs_prefix: Option<String>,
    /// Wait for the end of the job and show its progress.
    #[arg(long)]
    wait: bool,
    /// Fetch the artifacts into this folder once the job has completed; implies --wait.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Submits the job and prints its id; exit code 1 if it was waited for and did not complete.
///
/// # Errors
/// When a file can't be stored, or a server refuses.
pub(crate) async fn run(args: SubmitArgs) -> Result<ExitCode> {
    let meta: Value = serde_json::from_str(&meta_arg::text(&args.meta)?).context("--meta is not JSON")?;
    // Before the first is stored: one that is not there would be found after minutes of sending.
    let inputs = parse_inputs(&args.inputs)?;
    if let Some(input) = inputs.iter().find(|input| input.parts.len() > MAX_IDS) {
        let (name, parts) = (escaped(&input.name), input.parts.len());
        bail!("the input {name} has {parts} parts, and {MAX_IDS} are allowed: make several inputs of them");
    }
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating the folder {}", escaped(&folder.display().to_string())))?;
    }
    let network = Network::new(&args.network)?;
    let domain = network.domain(args.domain)?;
    let shutdown = Shutdown::new();
    let _listening = EarlySignals::catch()
        .and_then(Signals::install)
        .context("installing signal handlers")?
        .pass_on(&shutdown);
    let stop = shutdown.stopping().clone();

    let mut cids = store(&network, domain, &inputs, &stop).await?;
    cids.extend(args.input_ids.iter().cloned());
    let mut task = json!({
        "label": args.label, "stage": "only", "capability": args.capability, "inputs_cids": cids, "meta": meta,
    });
    if let Value::Object(fields) = &mut task {
        fields.extend(args.max_attempts.map(|attempts| ("max_attempts".to_owned(), json!(attempts))));
        fields.extend(args.outputs_prefix.clone().map(|prefix| ("outputs_prefix".to_owned(), json!(prefix))));
    }
    let job = json!({
        "label": args.label, "domain_id": domain, "priority": args.priority, "tasks": [task],
    });
    // The same key for each try: an answer that got lost must not make two jobs.
    let key = Uuid::new_v4();
    let id = persist(|| network.submit(&job, key)).await?;
    out!("{id}");
    if !args.wait && args.out.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        ended = finish(&network, id, &args, &stop) => ended,
        () = stop.cancelled() => {
            tell!(
                "no longer waiting; the job goes on: `posemesh-node job show {id}` shows it, `job cancel {id}` ends it, `job \
                 fetch {id} --out DIR` gets its artifacts"
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Stores the files, one after the other; the CIDs of the inputs.
async fn store(
    network: &Network,
    domain: Uuid,
    inputs: &[Input],
    stop: &CancellationToken,
) -> Result<Vec<String>> {
    if inputs.is_empty() {
        return Ok(Vec::new());
    }
    let mut opened = OpenDomain::open(network, domain, stop.clone()).await?;
    let mut cids = Vec::new();
    let mut failed = None;
    for input in inputs {
        match store_input(&mut opened, domain, input).await {
            Ok(cid) => cids.push(cid),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    // What was begun is aborted before the process ends.
    opened.close().await;
    failed.map_or(Ok(cids), Err)
}

/// Stores an input: its CID is the id of its only part, or a data URL with those of all (protocol 6.4).
async fn store_input(opened: &mut OpenDomain, domain: Uuid, input: &Input) -> Result<String> {
    let mut ids = Vec::new();
    for path in &input.parts {
        // As in `plugin run`.
        let name = (input.parts.len() == 1).then_some(input.name.as_str());
        let stored = opened.store(path, name).await;
        ids.push(stored.with_context(|| format!("storing {}", escaped(&path.display().to_string())))?);
    }
    Ok(match ids.as_slice() {
        [only] => only.clone(),
        several => format!("/api/v1/domains/{domain}/data?ids={}", several.join(",")),
    })
}

/// Waits for the job and fetches its artifacts.
async fn finish(
    network: &Network,
    id: Uuid,
    args: &SubmitArgs,
    stop: &CancellationToken,
) -> Result<ExitCode> {
    let began = Instant::now();
    let job = follow(network, id, &escaped(&args.capability).to_string()).await?;
    let took = began.elapsed();
    if !job.job.has_completed() {
        for reason in job.reasons() {
            tell!("error: {}", escaped(&reason));
        }
        tell!("the job ended as {} after {took:.1?}", escaped(&job.job.status));
        return Ok(ExitCode::FAILURE);
    }
    let artifacts = artifacts(&job);
    let noun = if artifacts.len() == 1 { "artifact" } else { "artifacts" };
    tell!("completed in {took:.1?}, {} {noun}", artifacts.len());
    match &args.out {
        Some(folder) => fetch_all(network, &job, &artifacts, folder, stop).await,
        None => Ok(ExitCode::SUCCESS),
    }
}
