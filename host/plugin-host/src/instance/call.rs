//! One call into one fresh instance, on a thread of its own, ended by whatever ends it first.
//!
//! The thread only keeps the guest from delaying others: the guest's host calls use the node's runtime
//! as everything else does. A guest is ended in rungs: it is asked (`is-cancelled`); at an epoch tick it
//! traps; at its next wait its store is dropped; and if even that hangs, the call returns all
//! the same, and the thread counts as stuck until it ends.

mod store;

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use crate::instance::bindings::{Runner as RunnerWorld, RunnerPre};
use crate::instance::scratch::measure;
use crate::instance::state::RunState;
use crate::instance::stuck::StuckThreads;
use crate::instance::usage::{RunUsage, report_usage};
use crate::manifest::limits::LimitReached;

/// How long a runner may go on after it was asked to stop.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);
/// Grace after the deadline for a guest that computes: it should trap, which leaves a backtrace, before its store
/// is dropped, which leaves none.
const TRAP_GRACE: Duration = Duration::from_millis(200);
/// Grace after a guest should be gone before its thread is reported as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// The shortest time between two measurements of the sandbox directory.
const SCRATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How a call ended, other than by returning.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// A trap, or an instance that could not be made.
    Error(wasmtime::Error),
    /// The time was over, and the guest did not even trap.
    Deadline,
    /// The guest was asked to stop and did not.
    Stopped,
    /// A limit that is watched from outside.
    Limit(LimitReached),
    /// The guest can't be ended; its thread is lost until it ends by itself.
    Stuck,
}

/// What a call returned, and what it took.
pub(crate) struct CallResult<T> {
    pub(crate) result: Result<T, CallEnd>,
    pub(crate) usage: RunUsage,
}

/// Instantiates a component with this state and calls into it.
///
/// Dropping the future ends the guest at its next epoch tick or wait.
pub(crate) async fn call<T: Send + 'static>(
    pre: RunnerPre<RunState>,
    state: RunState,
    stuck: &StuckThreads,
    call: impl AsyncFnOnce(&RunnerWorld, &mut Store<RunState>) -> wasmtime::Result<T> + Send + 'static,
) -> CallResult<T> {
    // A dropped future cannot stop a blocking thread, so the drop is passed on as a token that the thread watches.
    let abandoned = CancellationToken::new();
    let _abandon_on_drop = abandoned.clone().drop_guard();
    let latest = state.limits.deadline().saturating_add(STUCK_AFTER);
    let stop = state.control.reports.stop_token().clone();
    let runtime = Handle::current();
    let mut thread =
        tokio::task::spawn_blocking(move || runtime.block_on(drive(pre, state, call, abandoned)));
    let overdue = async {
        tokio::select! {
            () = tokio::time::sleep(latest) => {}
            // A runner that was asked to stop long before its deadline must not keep its slot until that deadline.
            () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE + STUCK_AFTER).await } => {}
        }
    };
    tokio::select! {
        ended = &mut thread => ended.unwrap_or_else(|error| {
            let error = wasmtime::Error::msg(format!("the host failed while it ran the runner: {error}"));
            CallResult { result: Err(CallEnd::Error(error)), usage: RunUsage::default() }
        }),
        () = overdue => {
            let held = stuck.hold();
            tracing::error!("a runner can't be ended and keeps its thread; the node needs a restart");
            // It may end after all: whatever blocked it may pass.
            tokio::spawn(async move {
                let _ = thread.await;
                drop(held);
                tracing::warn!("the runner that could not be ended has ended");
            });
            CallResult { result: Err(CallEnd::Stuck), usage: RunUsage::default() }
        }
    }
}

/// The call on its own thread.
async fn drive<T>(
    pre: RunnerPre<RunState>,
    state: RunState,
    call: impl AsyncFnOnce(&RunnerWorld, &mut Store<RunState>) -> wasmtime::Result<T>,
    abandoned: CancellationToken,
) -> CallResult<T> {
    let deadline = state.limits.deadline();
    let stop = state.control.reports.stop_token().clone();
    let scratch = state.scratch.clone();
    let cpu_start = store::thread_cpu_time();
    let mut store = store::new_store(&pre, state, abandoned.clone(), cpu_start);

    let work = async {
        let runner = pre.instantiate_async(&mut store).await?;
        call(&runner, &mut store).await
    };
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    let overflow = async {
        // `describe` has no directory: there is nothing to measure, and the other branches end the call.
        let Ok(dirs) = scratch.dirs() else { return std::future::pending().await };
        loop {
            let began = Instant::now();
            if let Some(limit) = scratch.written(measure(&dirs.work, scratch.most_files()).await) {
                return limit;
            }
            // Measuring may cost no more than a tenth of the time, however much there is.
            tokio::time::sleep(SCRATCH_INTERVAL.max(began.elapsed() * 10)).await;
        }
    };
    let result = tokio::select! {
        // A call that has returned counts as returned, even if a limit or a stop became due at the same poll.
        biased;
        result = work => result.map_err(CallEnd::Error),
        () = tokio::time::sleep(deadline.saturating_add(TRAP_GRACE)) => Err(CallEnd::Deadline),
        () = stopped => Err(CallEnd::Stopped),
        () = abandoned.cancelled() => Err(CallEnd::Stopped),
        limit = overflow => Err(CallEnd::Limit(limit)),
    };
    let cpu_time = store::thread_cpu_time().saturating_sub(cpu_start);
    report_usage(store.data(), cpu_time);
    CallResult { result, usage: RunUsage::of(store.data(), cpu_time) }
}
