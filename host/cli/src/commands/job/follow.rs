//! Waits for a job and shows how far it is.

use std::time::{Duration, Instant};

use anyhow::Result;
use uuid::Uuid;

use crate::commands::job::job_view::Job;
use crate::commands::job::server::{AskError, Network};
use crate::output::tell;
use crate::progress::Progress;

/// Time between two looks at the job.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a job server may be away while a job is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Shows the job's progress until it has ended.
///
/// # Errors
/// When the job server refuses to show it, or is away for long.
pub(super) async fn follow(network: &Network, job: Uuid, label: &str) -> Result<Job> {
    let mut progress = Progress::new(label);
    let mut away_since: Option<Instant> = None;
    let mut status = String::new();
    loop {
        match network.job(job).await {
            Ok(seen) => {
                if away_since.take().is_some() {
                    tell!("the job server answers again");
                }
                for reported in seen.tasks.iter().filter_map(|task| task.meta.get("progress")) {
                    progress.show(reported);
                }
                if seen.job.status != status {
                    status.clone_from(&seen.job.status);
                    progress.line(&format!("{label}: {status}"));
                }
                if seen.job.has_ended() {
                    progress.finish();
                    return Ok(seen);
                }
            }
            Err(AskError::Passing(why)) => {
                let since = *away_since.get_or_insert_with(|| {
                    tell!("{why}; waiting for it");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(AskError::Passing(why).into());
                }
            }
            Err(error @ AskError::Refused(_)) => return Err(error.into()),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
