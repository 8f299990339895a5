//! The asynchronous runtime that a command runs on.

use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_node_core::threads::runtime_threads;
use tokio::runtime::Builder;

/// How long the end of the process waits for threads that are still blocked. A stuck runner occupies its
/// thread for as long as the call of the operating system takes in which it hangs.
const BLOCKED_THREADS_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a command to its end.
///
/// # Errors
/// Those of the command, or when too few threads can be started.
pub(crate) fn block_on(command: impl Future<Output = Result<ExitCode>> + Send + 'static) -> Result<ExitCode> {
    let processors = available_parallelism().map_or(1, NonZero::get);
    // Asked before: the runtime panics when it gets too few, or never starts what waits for one.
    let threads = runtime_threads(processors)?;
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.context("starting the runtime's threads")?;
    // On one of the runtime's own threads: what wakes this one is a call of the system each time.
    let result = runtime.block_on(runtime.spawn(command));
    runtime.shutdown_timeout(BLOCKED_THREADS_TIMEOUT);
    result.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Err(error.into()),
    })
}
