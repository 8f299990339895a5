//! Where everything lies, and the servers that everybody works for.

use std::fs::File;
use std::io::{Read as _, copy, sink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use posemesh_devnet::{DataItem, Devnet, DevnetConfig};
use posemesh_tests::guest;
use tempfile::TempDir;
use uuid::Uuid;

use super::noise::Noise;
use crate::size::Size;

/// What the names of inputs begin with; everything else that is stored is an artifact.
const INPUT: &str = "noise-";
/// How much of two files is compared at a time.
const CHUNK: usize = 1 << 20;

/// A folder that goes with the measurement.
pub struct Site {
    dir: TempDir,
}

impl Site {
    /// A new folder in `parent`, or where temporary files are.
    pub fn open(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let dir = tempfile::Builder::new().prefix("posemesh-bench-").tempdir_in(&parent);
        let dir = dir.with_context(|| {
            format!("making a folder in {}; choose another place with `--dir`", parent.display())
        })?;
        let site = Self { dir };
        for folder in ["plugins", "temporary"] {
            std::fs::create_dir(site.path(folder)).with_context(|| format!("making a folder `{folder}`"))?;
        }
        std::fs::copy(guest("copy"), site.path("plugins").join("copy.wasm"))
            .context("copying the test runner `copy`")?;
        Ok(site)
    }

    /// A folder or file inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Servers that dictate this part size. The data of those before are there.
    pub async fn devnet(&self, part_size: u64) -> Result<Devnet> {
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

    /// Removes what the reference node leaves behind.
    pub fn sweep(&self) -> Result<()> {
        let temporary = self.path("temporary");
        std::fs::remove_dir_all(&temporary).context("removing the reference node's temporary files")?;
        std::fs::create_dir(&temporary).context("making a folder for temporary files")
    }
}

/// The input of so many bytes, made if it is not there.
pub async fn input(devnet: &Devnet, bytes: u64) -> Result<Uuid> {
    let name = format!("{INPUT}{bytes}");
    if let Some(item) = devnet.list_data().into_iter().find(|item| item.name == name) {
        return Ok(item.id);
    }
    let put = devnet.put_stream(&name, "binary", Noise::new(bytes)).await;
    put.with_context(|| format!("storing an input of {}; `--dir` chooses another disk", Size(bytes)))
}

/// Reads some data to the end, so that it is in the page cache for whoever reads it next.
pub async fn warm(devnet: &Devnet, id: Uuid) -> Result<()> {
    let path = devnet.data_path(id).context("the input is gone")?;
    tokio::task::spawn_blocking(move || copy(&mut File::open(path)?, &mut sink()))
        .await
        .context("reading the input")?
        .context("reading the input")?;
    Ok(())
}

/// Checks that exactly one artifact was stored, with the bytes of the input, and removes it.
pub async fn take_artifact(devnet: &Devnet, input: Uuid) -> Result<()> {
    let stored: Vec<DataItem> =
        devnet.list_data().into_iter().filter(|item| !item.name.starts_with(INPUT)).collect();
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
