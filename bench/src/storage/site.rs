//! The folder of the measurements, and the servers that every copier uses.

use std::fs::File;
use std::io::{Read as _, copy, sink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use posemesh_devnet::{DataItem, Devnet, DevnetConfig};
use posemesh_tests::guests::COPY;
use tempfile::TempDir;
use uuid::Uuid;

use crate::size::Size;
use crate::storage::noise::Noise;

/// Start of the names of inputs; everything else that is stored is an artifact.
const INPUT_PREFIX: &str = "noise-";
/// Bytes of two files that are compared at a time.
const CHUNK: usize = 1 << 20;

/// The folder for runners, data and temporary files; removed when dropped.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    /// A new folder in `parent`, by default in the folder for temporary files.
    pub(crate) fn open(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let dir = tempfile::Builder::new().prefix("posemesh-bench-").tempdir_in(&parent);
        let dir = dir.with_context(|| {
            format!("making a folder in {}; choose another place with `--dir`", parent.display())
        })?;
        let site = Self { dir };
        for folder in ["plugins", "temporary"] {
            std::fs::create_dir(site.path(folder)).with_context(|| format!("making a folder `{folder}`"))?;
        }
        std::fs::copy(COPY.path(), site.path("plugins").join("copy.wasm"))
            .context("copying the test runner `copy`")?;
        Ok(site)
    }

    /// The path of a folder or file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Servers with this part size, and with the data of the earlier ones.
    pub(crate) async fn devnet(&self, part_size: u64) -> Result<Devnet> {
        let config = DevnetConfig {
            data_dir: Some(self.path("devnet")),
            // curl knows no sessions: it sends everything in one request.
            request_max_bytes: 1 << 40,
            domain_data_max_bytes: 1 << 40,
            part_size,
            // The reference node takes one failed heartbeat for a lost lease, and its token for good once a
            // request has begun.
            lease_ttl: Duration::from_secs(600),
            task_token_ttl: Duration::from_secs(3600),
            task_token_overlap: Duration::from_secs(3600),
            ..DevnetConfig::default()
        };
        Devnet::start(config).await.context("starting a devnet")
    }

    /// Removes the temporary files that the reference node leaves behind.
    pub(crate) fn sweep(&self) -> Result<()> {
        let temporary = self.path("temporary");
        std::fs::remove_dir_all(&temporary).context("removing the reference node's temporary files")?;
        std::fs::create_dir(&temporary).context("making a folder for temporary files")
    }
}

/// The input of this size; stored first if it does not exist.
pub(crate) async fn input(devnet: &Devnet, bytes: u64) -> Result<Uuid> {
    let name = format!("{INPUT_PREFIX}{bytes}");
    if let Some(item) = devnet.list_data().into_iter().find(|item| item.name == name) {
        return Ok(item.id);
    }
    let put = devnet.put_stream(&name, "binary", Noise::new(bytes)).await;
    put.with_context(|| format!("storing an input of {}; `--dir` chooses another disk", Size(bytes)))
}

/// Reads an input to its end, so that every copier finds it in the page cache.
pub(crate) async fn warm(devnet: &Devnet, id: Uuid) -> Result<()> {
    let path = devnet.data_path(id).context("the input is gone")?;
    tokio::task::spawn_blocking(move || copy(&mut File::open(path)?, &mut sink()))
        .await
        .context("reading the input")?
        .context("reading the input")?;
    Ok(())
}

/// Checks that exactly one artifact is stored and equals the input, and removes it.
pub(crate) async fn take_artifact(devnet: &Devnet, input: Uuid) -> Result<()> {
    let stored: Vec<DataItem> =
        devnet.list_data().into_iter().filter(|item| !item.name.starts_with(INPUT_PREFIX)).collect();
    let [artifact] = stored.as_slice() else {
        bail!("{} artifacts were stored and not one", stored.len());
    };
    let path = |id| devnet.data_path(id).context("looking up stored data");
    let (from, to) = (path(input)?, path(artifact.id)?);
    let same = tokio::task::spawn_blocking(move || same_bytes(&from, &to)).await;
    ensure!(same.context("comparing")??, "the artifact `{}` has other bytes than its input", artifact.name);
    devnet.delete_data(artifact.id).await.context("removing an artifact")?;
    Ok(())
}

/// Compares two files, a piece at a time.
fn same_bytes(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut here, mut there) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        here.clear();
        there.clear();
        (&mut one).take(CHUNK as u64).read_to_end(&mut here).context("reading an input")?;
        (&mut other).take(CHUNK as u64).read_to_end(&mut there).context("reading an artifact")?;
        if here != there {
            return Ok(false);
        }
        if here.is_empty() {
            return Ok(true);
        }
    }
}
