//! The asynchronous runtime that a command runs on.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How long the end of the process waits for threads that are still blocked. A stuck runner occupies its
/// thread for as long as the call of the operating system takes in which it hangs.
const BLOCKED_THREADS_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a command to its end.
///
/// # Errors
/// Those of the command, or when the runtime's threads can't be started.
pub(crate) fn block_on(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime's threads")?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(BLOCKED_THREADS_TIMEOUT);
    result
}
