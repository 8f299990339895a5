//! What a sandbox process says of this machine. Mostly it is the first to know that the disk is full; one that was taken
//! over could say so to keep the node from working, and to be blamed for nothing.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use tokio::time::Instant;

/// How many incidents a runner is believed that the node sees nothing of, within [`REMEMBERED`].
const BELIEVED: usize = 2;
/// How long an incident counts. Runs that go well between do not make it forgotten: a runner may fail by turns.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Bytes that are written to see whether the disk takes them.
const TRIED: usize = 64 << 10;

/// What one generation has said of this machine, and was believed: when each incident began.
#[derive(Debug, Default)]
pub(super) struct HostClaims(Mutex<VecDeque<Instant>>);

impl HostClaims {
    /// Looks at the result of a task that began at this moment, whose process may have blamed this machine. `has_folder` says
    /// whether the folder of the process is still there.
    pub(super) async fn judge(
        &self,
        result: Result<(), RunFailure>,
        began: Instant,
        folder: &Path,
        has_folder: bool,
    ) -> Result<(), RunFailure> {
        let failure = match result {
            // That the kernel has ended the process is the node's own knowledge.
            Err(failure) if failure.blame == Blame::Host && failure.kind != FailureKind::Crashed => failure,
            result => return result,
        };
        let folder = folder.to_owned();
        let tried = tokio::task::spawn_blocking(move || disk_works(&folder)).await;
        if !has_folder || !matches!(tried, Ok(true)) || self.believe(began) {
            return Err(failure);
        }
        let reason = format!(
            "{} (the node itself sees nothing of that, and the runner has said so before)",
            failure.reason
        );
        Err(RunFailure { reason, ..failure }.blamed_on(Blame::Runner))
    }

    /// Whether one more claim is believed that the node sees nothing of.
    fn believe(&self, began: Instant) -> bool {
        let now = Instant::now();
        let mut incidents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while incidents.front().is_some_and(|begun| now.duration_since(*begun) > REMEMBERED) {
            incidents.pop_front();
        }
        // Tasks that ran at the same time fail together: they are one incident.
        if incidents.back().is_some_and(|begun| began <= *begun) {
            return true;
        }
        let believed = incidents.len() < BELIEVED;
        if believed {
            incidents.push_back(now);
        }
        believed
    }
}

/// Whether a file can be written beside the task's.
fn disk_works(folder: &Path) -> bool {
    let Some(parent) = folder.parent() else { return false };
    tempfile::tempfile_in(parent).and_then(|mut file| file.write_all(&[0; TRIED])).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn claims_that_nothing_confirms_are_believed_twice_in_ten_minutes_whatever_goes_well_between() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("task-1");
        let claims = HostClaims::default();
        let claim = async |began: Instant, has_folder: bool| {
            let failure = RunFailure::host("the node is out of memory");
            claims.judge(Err(failure), began, &folder, has_folder).await.unwrap_err()
        };
        for _ in 0..2 {
            let began = Instant::now();
            for _ in 0..8 {
                assert_eq!(claim(began, true).await.blame, Blame::Host, "they ran at the same time");
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            claims.judge(Ok(()), began, &folder, true).await.unwrap();
        }
        let judged = claim(Instant::now(), true).await;
        assert_eq!(judged.blame, Blame::Runner);
        assert!(judged.reason.contains("the node itself sees nothing of that"), "{}", judged.reason);
        assert_eq!(claim(Instant::now(), false).await.blame, Blame::Host, "its folder is gone");
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(claim(Instant::now(), true).await.blame, Blame::Host, "long ago");
        drop(dir);
        assert_eq!(claim(Instant::now(), true).await.blame, Blame::Host, "the disk takes nothing");
    }
}
