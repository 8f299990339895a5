//! Where good versions go: into a folder that somebody's node loads runners from, or into the local network.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use posemesh_text::one_line;
use tokio::task::spawn_blocking;

#[cfg(feature = "devnet")]
use super::network::LocalNetwork;
use super::staged::Staged;

/// How much of a path is shown, in bytes.
const SHOWN_BYTES: usize = 400;

pub(super) enum Place {
    /// A folder of somebody else's, whose policies are theirs.
    Folder(PathBuf),
    /// A node of our own.
    #[cfg(feature = "devnet")]
    Network(Box<LocalNetwork>),
}

impl Place {
    /// A folder that is there.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn folder(dir: &Path) -> Result<Self> {
        if !dir.is_dir() {
            bail!(
                "--into {}: there is no such folder; make it, or name the PLUGINS_DIR of a node",
                dir.display()
            );
        }
        Ok(Self::Folder(dir.to_owned()))
    }

    /// Whose policies count: those of the folder that a node has, or the project's.
    pub(super) fn policies<'a>(&'a self, project: &'a Path) -> &'a Path {
        // Without the network of development there are only nodes' folders.
        let _ = project;
        match self {
            Self::Folder(dir) => dir,
            #[cfg(feature = "devnet")]
            Self::Network(_) => project,
        }
    }

    /// Puts a version there. Says what serves now, or where it is.
    ///
    /// # Errors
    /// When it can't be put there, or the node refuses it.
    pub(super) async fn take(&self, staged: &Arc<Staged>, digest: &str) -> Result<String> {
        match self {
            Self::Folder(dir) => {
                // What becomes of it there is for the node to say, which may be another user's or not run.
                let _ = digest;
                let target = put(staged, dir, false).await?;
                Ok(one_line(target.display(), SHOWN_BYTES))
            }
            #[cfg(feature = "devnet")]
            Self::Network(network) => {
                put(staged, network.plugins(), true).await?;
                network.serve(&staged.component, digest).await
            }
        }
    }
}

async fn put(staged: &Arc<Staged>, dir: &Path, with_policy: bool) -> Result<PathBuf> {
    let (staged, dir) = (staged.clone(), dir.to_owned());
    spawn_blocking(move || staged.put_into(&dir, with_policy))
        .await
        .context("putting the component into its place")?
}
