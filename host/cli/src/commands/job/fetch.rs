//! `job fetch`, and what `job submit --out` ends with: fetches what a job has stored in its domain.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_runner_api::ports::{InputPort, PartStream};
use posemesh_text::{escaped, one_line};
use serde_json::Value;
use tempfile::Builder;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commands::job::domain::OpenDomain;
use crate::commands::job::job_view::{Job, Receipt};
use crate::commands::job::server::{Network, NetworkArgs, persist};
use crate::commands::job::transfer::Transfer;
use crate::output::{out, tell};

/// Bytes that are fetched at a time.
const CHUNK: usize = 4 << 20;
/// The longest path of an artifact that is taken over, in bytes.
const MAX_PATH: usize = 512;

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Uuid,
    /// Folder for the artifacts.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Fetches the artifacts of a job; exit code 1 if one can't be fetched.
///
/// # Errors
/// When there is no such job, or a server refuses.
pub(crate) async fn run(args: &FetchArgs) -> Result<ExitCode> {
    let network = Network::new(&args.network)?;
    let shutdown = Shutdown::new();
    let _listening = EarlySignals::catch()
        .and_then(Signals::install)
        .context("installing signal handlers")?
        .pass_on(&shutdown);
    let stop = shutdown.stopping();
    let job = persist(|| network.job(args.job)).await?;
    let stored = artifacts(&job);
    if !job.job.has_ended() {
        tell!("the job has not ended ({}); this is what it has stored so far", escaped(&job.job.status));
    }
    if stored.is_empty() {
        tell!("the job has no artifacts");
    }
    tokio::select! {
        fetched = fetch_all(&network, &job, &stored, &args.out, stop) => fetched,
        () = stop.cancelled() => {
            tell!("stopped; what was fetched whole is there");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Fetches artifacts into a folder; exit code 1 if some can't be, which are told each.
///
/// # Errors
/// When the folder can't be made, or the domain can't be opened.
pub(super) async fn fetch_all(
    network: &Network,
    job: &Job,
    stored: &[Stored],
    folder: &Path,
    stop: &CancellationToken,
) -> Result<ExitCode> {
    let shown = folder.display().to_string();
    tokio::fs::create_dir_all(folder)
        .await
        .with_context(|| format!("creating the folder {}", escaped(&shown)))?;
    if stored.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    // Opened anew: what was opened for the inputs may have expired while the job was worked on.
    let opened = OpenDomain::open(network, job.job.domain_id, stop.clone()).await?;
    let failed = fetch(stored, &*opened.ports.inputs, folder).await;
    opened.close().await;
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    tell!(
        "{failed} of {} artifacts were not fetched; they stay in the domain: `posemesh-node job fetch {} --out DIR` tries \
         again",
        stored.len(),
        job.job.id
    );
    Ok(ExitCode::FAILURE)
}

/// An artifact of a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    id: String,
    /// Where its runner put it, if the node said so.
    path: Option<PathBuf>,
}

/// The artifacts of all tasks, in the order in which they ended.
pub(super) fn artifacts(job: &Job) -> Vec<Stored> {
    job.receipts.iter().flat_map(of_receipt).collect()
}

fn of_receipt(receipt: &Receipt) -> Vec<Stored> {
    let told = receipt.meta.get("artifacts").and_then(Value::as_array);
    let path_of = |id: &str| {
        let text = |artifact: &Value, field: &str| artifact.get(field)?.as_str().map(str::to_owned);
        let artifact = told?.iter().find(|artifact| text(artifact, "id").as_deref() == Some(id))?;
        harmless(&text(artifact, "logical_path")?)
    };
    receipt.outputs.iter().map(|id| Stored { id: id.clone(), path: path_of(id) }).collect()
}

/// A path that leads to no other place than below the folder that it is put into: a stranger's runner has chosen it.
fn harmless(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let printable =
        path.to_str().is_some_and(|text| text.len() <= MAX_PATH && !text.chars().any(char::is_control));
    (plain && printable && path.file_name().is_some()).then(|| path.to_owned())
}

/// Writes them below a folder and prints where each is. One that can't be fetched or written is told and keeps none of the
/// others; how many there are of those.
async fn fetch(stored: &[Stored], inputs: &dyn InputPort, folder: &Path) -> usize {
    let (mut taken, mut failed) = (BTreeSet::new(), 0);
    for artifact in stored {
        if let Err(error) = fetch_one(artifact, inputs, folder, &mut taken).await {
            tell!("error: {}", escaped(&format!("{error:#}")));
            failed += 1;
        }
    }
    failed
}

async fn fetch_one(
    artifact: &Stored,
    inputs: &dyn InputPort,
    folder: &Path,
    taken: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let id = one_line(&artifact.id, 200);
    let mut parts = inputs.open(&artifact.id).await.with_context(|| format!("fetching artifact {id}"))?;
    while let Some(part) = parts.next_part().await.with_context(|| format!("fetching artifact {id}"))? {
        let named = || harmless(&format!("{}.{}", part.name.replace('/', "_"), part.data_type));
        let path = artifact.path.clone().or_else(named).unwrap_or_else(|| PathBuf::from("artifact"));
        let path = folder.join(free(path, taken));
        let shown = escaped(&path.display().to_string()).to_string();
        let transfer = Transfer::begin(format!("fetching {shown}"), part.size);
        let bytes = write(parts.as_mut(), &path, &transfer)
            .await
            .with_context(|| format!("fetching artifact {id} to {shown}"))?;
        transfer.end(bytes);
        out!("{shown}  {bytes} bytes");
    }
    Ok(())
}

/// The path, with a number if another artifact has it: two tasks may use the same.
fn free(path: PathBuf, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let numbered = |number: u32| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let kind = path.extension().map(|kind| format!(".{}", kind.to_string_lossy())).unwrap_or_default();
        path.with_file_name(format!("{stem}-{number}{kind}"))
    };
    let free = std::iter::once(path.clone()).chain((2..).map(numbered)).find(|path| !taken.contains(path));
    let free = free.unwrap_or(path);
    taken.insert(free.clone());
    free
}

/// Under another name until it is whole, so that nobody takes a half for the artifact.
async fn write(part: &mut dyn PartStream, path: &Path, shown: &Transfer) -> Result<u64> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    tokio::fs::create_dir_all(&folder).await?;
    let begun =
        tokio::task::spawn_blocking(move || Builder::new().prefix(".part-").tempfile_in(folder)).await??;
    let (file, begun) = begun.into_parts();
    let (mut file, mut written) = (tokio::fs::File::from_std(file), 0);
    loop {
        let bytes = part.read(CHUNK).await?;
        if bytes.is_empty() {
            break;
        }
        file.write_all(&bytes).await?;
        written += bytes.len() as u64;
        shown.moved(bytes.len());
    }
    file.flush().await?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || begun.persist(path)).await??;
    Ok(written)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_artifact_lies_where_its_runner_put_it_unless_that_is_elsewhere() {
        let receipt = Receipt {
            task_id: Uuid::nil(),
            outputs: ["a", "b", "c"].map(str::to_owned).into(),
            meta: json!({"artifacts": [
                {"id": "a", "logical_path": "out/cloud.ply"},
                {"id": "b", "logical_path": "../../.bashrc"},
            ]}),
        };
        let stored = of_receipt(&receipt);
        assert_eq!(stored.first().unwrap().path, Some(PathBuf::from("out/cloud.ply")));
        assert!(stored.iter().skip(1).all(|artifact| artifact.path.is_none()), "{stored:?}");
        for path in ["/etc/passwd", "a/../../b", "", ".", "a\nb", &"x".repeat(600)] {
            assert_eq!(harmless(path), None, "{path}");
        }
    }

    #[test]
    fn artifacts_of_the_same_path_lie_beside_each_other() {
        let mut taken = BTreeSet::new();
        let paths =
            ["a/b.json", "a/b.json", "a/b.json", "c"].map(|path| free(PathBuf::from(path), &mut taken));
        assert_eq!(paths, ["a/b.json", "a/b-2.json", "a/b-3.json", "c"].map(PathBuf::from));
    }
}
