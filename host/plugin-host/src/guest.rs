//! One call into one fresh instance, on a thread of its own, ended by whatever ends it first.
//!
//! The thread only keeps the guest from delaying others: the guest's host calls use the node's runtime
//! as everything else does. A guest is ended in rungs: it is asked (`is-cancelled`); at an epoch tick it
//! traps; at its next wait its store is dropped; and if even that hangs, the caller is told so and the
//! node says that it is not ready ([`stuck_runners`]).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use super::bindings::{Runner as RunnerWorld, RunnerPre};
use super::limits::LimitReached;
use super::sandbox::HOSTCALL_BYTES;
use super::scratch::measure;
use super::state::RunState;

/// How long a runner may go on after it was asked to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long after its deadline a guest that computes may go on before it is dropped without a trap (and
/// so without a backtrace).
const TRAP_GRACE: Duration = Duration::from_millis(200);
/// How much later than it should a guest may be gone before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// How often the sandbox directory is measured, at most.
const SCRATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Threads that a guest holds and that can't be ended.
static STUCK: AtomicUsize = AtomicUsize::new(0);

/// How many runners could not be ended and still hold their threads. Above 0 the node is not ready: it
/// needs a restart.
pub fn stuck_runners() -> usize {
    STUCK.load(Ordering::Relaxed)
}

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
    let latest = state.limits.deadline().saturating_add(STUCK_AFTER);
    let stop = state.reports.stop_token().clone();
    let runtime = Handle::current();
    let mut thread =
        tokio::task::spawn_blocking(move || runtime.block_on(drive(pre, state, call, abandoned)));
    let stuck = async {
        tokio::select! {
            () = tokio::time::sleep(latest) => {}
            () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE + STUCK_AFTER).await } => {}
        }
    };
    tokio::select! {
        ended = &mut thread => ended.unwrap_or_else(|error| {
            let error = wasmtime::Error::msg(format!("the host failed while it ran the runner: {error}"));
            Called { result: Err(GuestEnd::Error(error)), usage: Usage::default() }
        }),
        () = stuck => {
            STUCK.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a runner can't be ended and keeps its thread; the node needs a restart");
            // It may end after all: whatever blocked it may pass.
            tokio::spawn(async move {
                let _ = thread.await;
                STUCK.fetch_sub(1, Ordering::Relaxed);
                tracing::warn!("the runner that could not be ended has ended");
            });
            Called { result: Err(GuestEnd::Stuck), usage: Usage::default() }
        }
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
            let began = Instant::now();
            if let Some(limit) = scratch.written(measure(dir.clone(), scratch.most_files()).await) {
                return limit;
            }
            // Looking may cost no more than a tenth of the time, however much there is.
            tokio::time::sleep(SCRATCH_INTERVAL.max(began.elapsed() * 10)).await;
        }
    };
    let result = tokio::select! {
        biased;
        result = work => result.map_err(GuestEnd::Error),
        () = tokio::time::sleep(deadline.saturating_add(TRAP_GRACE)) => Err(GuestEnd::Deadline),
        () = stopped => Err(GuestEnd::Stopped),
        () = abandoned.cancelled() => Err(GuestEnd::Stopped),
        limit = overflow => Err(GuestEnd::Limit(limit)),
    };
    let cpu_time = thread_cpu_time().saturating_sub(cpu_start);
    store.data().tell_usage(cpu_time);
    let memory = &store.data().memory;
    let usage = Usage { memory_bytes: memory.memory_used(), cpu_time, refused: memory.refused().cloned() };
    Called { result, usage }
}

fn new_store(
    pre: &RunnerPre<RunState>,
    state: RunState,
    abandoned: CancellationToken,
    cpu_start: Duration,
) -> Store<RunState> {
    let cpu_limit = state.limits.cpu_time_ms;
    let deadline = LimitReached { name: "deadline_ms", value: state.limits.deadline_ms };
    let (started, time) = (Instant::now(), state.limits.deadline());
    let handles = usize::try_from(state.limits.handles).unwrap_or(usize::MAX);
    let scratch = state.scratch.clone();
    let mut store = Store::new(pre.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    // What WASI 0.3 tasks, streams and futures take on the host's side is bounded as other handles are.
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(handles);
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |context| {
        if abandoned.is_cancelled() {
            return Err(wasmtime::Error::msg("the runner was abandoned"));
        }
        if let Some(limit) = scratch.reached() {
            return Err(limit.into());
        }
        if started.elapsed() > time {
            return Err(deadline.clone().into());
        }
        let used = thread_cpu_time().saturating_sub(cpu_start);
        context.data().tell_usage(used);
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
