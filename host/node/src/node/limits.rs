//! What a node's machine and folders say of its limits and its memory, asked at its start.

use std::path::PathBuf;
use std::sync::Arc;

use posemesh_plugin_host::load::LoaderSettings;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::admission::{MemoryBudget, scratch_share};
use crate::auth::identity::Identity;
use crate::config::Config;
use crate::workdir::WorkDirs;

/// Where it is kept who served which capability. Several nodes may share WORK_DIR, each with runners of its own.
pub(super) async fn memory_file(config: &Config) -> PathBuf {
    let plugins = config.paths.plugins.clone();
    // A link to it, or a relative path, is the same folder.
    let looked = spawn_blocking(move || plugins.canonicalize().unwrap_or(plugins)).await;
    let plugins = looked.unwrap_or_else(|_| config.paths.plugins.clone());
    let digest = hex::encode(Sha256::digest(plugins.as_os_str().as_encoded_bytes()));
    config.paths.work.join(format!("runners-{}.json", digest.get(..16).unwrap_or_default()))
}

/// The memory for all tasks, and the limits of runners that follow from what the machine has: no runner gets more memory
/// than there is, and one that says nothing of its scratch space gets its share of the disk at most.
pub(super) async fn limits_of_machine(
    config: &Config,
    work_dirs: &Arc<WorkDirs>,
) -> (MemoryBudget, LoaderSettings) {
    let (set, tasks) = (config.memory_budget, config.worker.max_concurrency);
    let dirs = work_dirs.clone();
    // These ask the kernel and a file system, which may take a while.
    let asked = spawn_blocking(move || {
        let budget = set.map_or_else(MemoryBudget::of_machine, MemoryBudget::of);
        (budget, scratch_share(dirs.path(), tasks))
    });
    let unknown = (MemoryBudget::of(u64::MAX / 2), (u64::MAX, u64::MAX));
    let (budget, (bytes, files)) = asked.await.unwrap_or(unknown);
    let mut loader = config.loader.clone();
    loader.sandbox.folder = Some(work_dirs.guests());
    loader.maximum.memory_bytes = loader.maximum.memory_bytes.min(budget.largest_runner());
    loader.defaults.scratch_bytes = loader.defaults.scratch_bytes.min(bytes);
    loader.defaults.scratch_files = loader.defaults.scratch_files.min(files);
    tracing::info!(
        memory_budget = budget.bytes(),
        scratch_bytes = loader.defaults.scratch_bytes,
        "what tasks may use"
    );
    (budget, loader)
}

/// The wallet's address, or that it is a robot.
pub(super) fn who(config: &Config) -> String {
    match &config.membership.identity {
        Identity::Wallet { wallet, .. } => wallet.address().to_owned(),
        Identity::Robot { .. } => "robot".to_owned(),
    }
}
