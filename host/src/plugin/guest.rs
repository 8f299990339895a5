//! One call into one fresh instance, on a thread of its own, ended by whatever ends it first.
//!
//! The thread only keeps the guest from delaying others: the guest's host calls use the node's runtime
//! as everything else does. A guest is ended in rungs: it is asked (`is-cancelled`); at the next epoch
//! tick it traps; its store is dropped at its next wait; and if even that hangs, the caller is told so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use super::bindings::{Runner as RunnerWorld, RunnerPre};
use super::limits::LimitReached;
use super::sandbox::HOSTCALL_BYTES;
use super::state::RunState;

/// How long a runner may go on after it was asked to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How much later than its deadline a guest may be gone before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(20);
/// How often the sandbox directory is measured.
const SCRATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How a call ended, other than by returning.
#[derive(Debug)]
pub enum GuestEnd {
    /// A trap, or an instance that could not be made.
    Error(wasmtime::Error),
    /// It ran out of time.
    Deadline,
    /// It was asked to stop and did not.
    Stopped,
    /// A limit that is watched from outside.
    Limit(LimitReached),
    /// It can't be ended; its thread is lost until it ends by itself.
    Stuck,
}

/// What is known of an instance after its call.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Bytes of linear memory at the end.
    pub memory_bytes: u64,
    /// Time on the processor.
    pub cpu_time: Duration,
    /// The last growth that was refused.
    pub refused: Option<LimitReached>,
}

/// A result and what it took.
pub struct Called<T> {
    /// What the call returned, or how it ended.
    pub result: Result<T, GuestEnd>,
    /// What it used.
    pub usage: Usage,
}

/// Instantiates a component with this state and calls into it.
///
/// Dropping the future ends the guest at its next epoch tick or wait.
pub async fn call<T: Send + 'static>(
    pre: RunnerPre<RunState>,
    state: RunState,
    call: impl AsyncFnOnce(&RunnerWorld, &mut Store<RunState>) -> wasmtime::Result<T> + Send + 'static,
) -> Called<T> {
    let abandoned = CancellationToken::new();
    let _abandon_on_drop = abandoned.clone().drop_guard();
    let patience = state.limits.deadline().saturating_add(STUCK_AFTER);
    let runtime = Handle::current();
    let thread = tokio::task::spawn_blocking(move || runtime.block_on(drive(pre, state, call, abandoned)));
    match tokio::time::timeout(patience, thread).await {
        Ok(Ok(called)) => called,
        Ok(Err(error)) => {
            let error = wasmtime::Error::msg(format!("the host failed while it ran the runner: {error}"));
            Called { result: Err(GuestEnd::Error(error)), usage: Usage::default() }
        }
        Err(_) => Called { result: Err(GuestEnd::Stuck), usage: Usage::default() },
    }
}

async fn drive<T>(
    pre: RunnerPre<RunState>,
    state: RunState,
    call: impl AsyncFnOnce(&RunnerWorld, &mut Store<RunState>) -> wasmtime::Result<T>,
    abandoned: CancellationToken,
) -> Called<T> {
    let deadline = state.limits.deadline();
    let stop = state.reports.stop_token().clone();
    let scratch = state.scratch.clone();
    let work_dir = state.dirs.as_ref().map(|dirs| Arc::<Path>::from(dirs.work.as_path()));
    let cpu_start = thread_cpu_time();
    let mut store = new_store(&pre, state, abandoned.clone(), cpu_start);

    let work = async {
        let runner = pre.instantiate_async(&mut store).await?;
        call(&runner, &mut store).await
    };
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    let overflow = async {
        let Some(dir) = work_dir else { return std::future::pending().await };
        loop {
            tokio::time::sleep(SCRATCH_INTERVAL).await;
            if scratch.written(measure(dir.clone()).await) {
                return;
            }
        }
    };
    let result = tokio::select! {
        biased;
        result = work => result.map_err(GuestEnd::Error),
        () = tokio::time::sleep(deadline) => Err(GuestEnd::Deadline),
        () = stopped => Err(GuestEnd::Stopped),
        () = abandoned.cancelled() => Err(GuestEnd::Stopped),
        () = overflow => Err(GuestEnd::Limit(scratch.error())),
    };
    let memory = &store.data().memory;
    let usage = Usage {
        memory_bytes: memory.memory_used(),
        cpu_time: thread_cpu_time().saturating_sub(cpu_start),
        refused: memory.refused().cloned(),
    };
    Called { result, usage }
}

fn new_store(
    pre: &RunnerPre<RunState>,
    state: RunState,
    abandoned: CancellationToken,
    cpu_start: Duration,
) -> Store<RunState> {
    let cpu_limit = state.limits.cpu_time_ms;
    let scratch = state.scratch.clone();
    let mut store = Store::new(pre.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if abandoned.is_cancelled() {
            return Err(wasmtime::Error::msg("the runner was abandoned"));
        }
        if scratch.is_exceeded() {
            return Err(scratch.error().into());
        }
        let used = thread_cpu_time().saturating_sub(cpu_start);
        if used.as_millis() > u128::from(cpu_limit) {
            return Err(LimitReached { name: "cpu_time_ms", value: cpu_limit }.into());
        }
        // Yielding lets the deadline and a stop be seen.
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// Processor time of the current thread, which is all the guest's while it runs.
fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Bytes of the files in a folder; links are not followed, and what can't be read counts nothing.
async fn measure(dir: Arc<Path>) -> u64 {
    let walk = move || {
        let mut bytes = 0u64;
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(kind) = entry.metadata() else { continue };
                if kind.is_dir() {
                    folders.push(entry.path());
                } else {
                    bytes = bytes.saturating_add(kind.len());
                }
            }
        }
        bytes
    };
    tokio::task::spawn_blocking(walk).await.unwrap_or_default()
}
