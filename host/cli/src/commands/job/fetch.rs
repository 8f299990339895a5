//! Fetches what a job has stored in its domain.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use posemesh_runner_api::ports::{InputPort, PartStream};
use posemesh_text::{escaped, one_line};
use serde_json::Value;
use tempfile::Builder;
use tokio::io::AsyncWriteExt as _;

use crate::commands::job::job_view::{Job, Receipt};
use crate::commands::job::transfer::Transfer;
use crate::output::out;

/// Bytes that are fetched at a time.
const CHUNK: usize = 4 << 20;
/// The longest path of an artifact that is taken over, in bytes.
const MAX_PATH: usize = 512;

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

/// Writes them below a folder and prints where each is.
///
/// # Errors
/// At the first that can't be fetched or written.
pub(super) async fn fetch(stored: &[Stored], inputs: &dyn InputPort, folder: &Path) -> Result<()> {
    let mut taken = BTreeSet::new();
    for artifact in stored {
        let id = one_line(&artifact.id, 200);
        let mut parts = inputs.open(&artifact.id).await.with_context(|| format!("fetching artifact {id}"))?;
        while let Some(part) = parts.next_part().await.with_context(|| format!("fetching artifact {id}"))? {
            let named = || harmless(&format!("{}.{}", part.name.replace('/', "_"), part.data_type));
            let path = artifact.path.clone().or_else(named).unwrap_or_else(|| PathBuf::from("artifact"));
            let path = folder.join(free(path, &mut taken));
            let shown = escaped(&path.display().to_string()).to_string();
            let transfer = Transfer::begin(format!("fetching {shown}"), part.size);
            let bytes = write(parts.as_mut(), &path, &transfer)
                .await
                .with_context(|| format!("fetching artifact {id} to {shown}"))?;
            transfer.end(bytes);
            out!("{shown}  {bytes} bytes");
        }
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
