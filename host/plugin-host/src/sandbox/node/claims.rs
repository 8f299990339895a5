//! What a sandbox process says of this machine. Mostly it is the first to know that the disk is full; one that was taken
//! over could say so to keep the node from working, and to be blamed for nothing.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};

/// How often in a row a runner is believed that the machine failed, when the node sees nothing of it.
const BELIEVED: u32 = 2;
/// Bytes that are written to see whether the disk takes them.
const TRIED: usize = 64 << 10;

/// What one generation has said of this machine. A run that went well begins anew.
#[derive(Debug, Default)]
pub(super) struct HostClaims(AtomicU32);

impl HostClaims {
    /// Looks at a result whose process may have blamed this machine.
    pub(super) async fn judge(
        &self,
        result: Result<(), RunFailure>,
        folder: &Path,
    ) -> Result<(), RunFailure> {
        let failure = match result {
            // That the kernel has ended the process is the node's own knowledge.
            Err(failure) if failure.blame == Blame::Host && failure.kind != FailureKind::Crashed => failure,
            result => {
                if result.is_ok() {
                    self.0.store(0, Ordering::Relaxed);
                }
                return result;
            }
        };
        let folder = folder.to_owned();
        let tried = tokio::task::spawn_blocking(move || disk_works(&folder)).await;
        if !matches!(tried, Ok(true)) || self.0.fetch_add(1, Ordering::Relaxed) < BELIEVED {
            return Err(failure);
        }
        Err(failure.blamed_on(Blame::Runner))
    }
}

/// Whether a file can be written beside the task's.
fn disk_works(folder: &Path) -> bool {
    let Some(parent) = folder.parent() else { return false };
    tempfile::tempfile_in(parent).and_then(|mut file| file.write_all(&[0; TRIED])).is_ok()
}
