//! One call into one fresh instance, on a thread of its own, ended by whatever ends it first.
//!
//! The thread only keeps the guest from delaying others: the guest's host calls use the node's runtime
//! as everything else does. A guest is ended in rungs: it is asked (`is-cancelled`); at an epoch tick it
//! traps; at its next wait its store is dropped; and if even that hangs, the call returns all
//! the same, and the thread counts as stuck until it ends.

mod store;

use std::time::{Duration, Instant};

use posemesh_text::one_line;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use crate::instance::guest_threads::GuestThreads;
use crate::instance::linked::{LinkedRunner, RunnerInstance};
use crate::instance::process_memory;
use crate::instance::state::RunState;
use crate::instance::trouble::engine_cause;
use crate::instance::usage::{RunUsage, report_usage};
use crate::manifest::limits::{Limit, LimitReached};

/// How long a runner may go on after it was asked to stop.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);
/// Grace after the deadline for a guest that computes: it should trap, which leaves a backtrace, before its store
/// is dropped, which leaves none.
const TRAP_GRACE: Duration = Duration::from_millis(200);
/// Grace after a guest should be gone before its thread is reported as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// The shortest time between two measurements of the sandbox directory.
const SCRATCH_INTERVAL: Duration = Duration::from_millis(100);
/// The longest cause that is taken over from wasmtime, in bytes.
const MAX_CAUSE: usize = 1000;

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
    /// This machine could not run it: no thread, no memory for an instance.
    Host(String),
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
    pre: LinkedRunner,
    state: RunState,
    threads: &GuestThreads,
    call: impl AsyncFnOnce(&RunnerInstance, &mut Store<RunState>) -> wasmtime::Result<T> + Send + 'static,
) -> CallResult<T> {
    // A dropped future cannot stop a blocking thread, so the drop is passed on as a token that the thread watches.
    let abandoned = CancellationToken::new();
    let _abandon_on_drop = abandoned.clone().drop_guard();
    let latest = state.limits.deadline().saturating_add(STUCK_AFTER);
    let stop = state.control.reports.stop_token().clone();
    let runtime = Handle::current();
    let running = match threads.run(pre.engine()) {
        Ok(running) => running,
        Err(error) => return no_thread(&error),
    };
    let (done, mut ended) = oneshot::channel();
    let thread = threads.spawn(move || {
        let result = runtime.block_on(drive(pre, state, call, abandoned));
        drop(running);
        // Nobody waits any more for what a stuck guest returns.
        let _ = done.send(result);
    });
    if let Err(error) = thread {
        return no_thread(&error);
    }
    let overdue = async {
        tokio::select! {
            () = tokio::time::sleep(latest) => {}
            // A runner that was asked to stop long before its deadline must not keep its slot until that deadline.
            () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE + STUCK_AFTER).await } => {}
        }
    };
    tokio::select! {
        result = &mut ended => result.unwrap_or_else(|_| {
            let what = "the host failed while it ran the runner; its log says how".to_owned();
            CallResult { result: Err(CallEnd::Host(what)), usage: RunUsage::default() }
        }),
        () = overdue => {
            let held = threads.hold();
            tracing::error!("a runner can't be ended and keeps its thread; the node needs a restart");
            // It may end after all: whatever blocked it may pass.
            tokio::spawn(async move {
                let _ = ended.await;
                drop(held);
                tracing::warn!("the runner that could not be ended has ended");
            });
            CallResult { result: Err(CallEnd::Stuck), usage: RunUsage::default() }
        }
    }
}

fn no_thread<T>(error: &std::io::Error) -> CallResult<T> {
    let what = format!("the node has no thread left (starting one for the runner: {error})");
    CallResult { result: Err(CallEnd::Host(what)), usage: RunUsage::default() }
}

/// The call on its own thread.
async fn drive<T>(
    pre: LinkedRunner,
    state: RunState,
    call: impl AsyncFnOnce(&RunnerInstance, &mut Store<RunState>) -> wasmtime::Result<T>,
    abandoned: CancellationToken,
) -> CallResult<T> {
    let deadline = state.limits.deadline();
    let memory_bytes = state.limits.reached(Limit::MemoryBytes);
    let stop = state.control.reports.stop_token().clone();
    let scratch = state.scratch.clone();
    let trouble = scratch.trouble().clone();
    let cpu_start = store::thread_cpu_time();
    let mut store = store::new_store(&pre, state, abandoned.clone(), cpu_start);

    let work = async {
        store.data().memory.admit_instance().map_err(CallEnd::Limit)?;
        let runner = pre.instantiate_async(&mut store).await.map_err(|error| match engine_cause(&error) {
            // By stacks of calls that wait, which no other limit counts: its own, or another task's of the runner.
            Some(_) if process_memory::is_used_up() => CallEnd::Limit(memory_bytes.clone()),
            Some(cause) => CallEnd::Host(format!(
                "{cause} (making an instance of the runner: {})",
                one_line(format_args!("{error:#}"), MAX_CAUSE)
            )),
            None => CallEnd::Error(error),
        })?;
        // By its result and not by its kind, since a stack for the call is made only now.
        call(&runner, &mut store).await.map_err(|error| {
            if engine_cause(&error).is_some() && process_memory::is_used_up() {
                return CallEnd::Limit(memory_bytes);
            }
            trouble.saw_engine("running the runner", &error);
            CallEnd::Error(error)
        })
    };
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    let overflow = async {
        loop {
            tokio::time::sleep(SCRATCH_INTERVAL).await;
            // A guest that has had no use for its directory yet has put nothing there.
            if scratch.made().is_none() {
                continue;
            }
            let began = Instant::now();
            let looking = scratch.clone();
            if let Ok(Some(limit)) = tokio::task::spawn_blocking(move || looking.watch()).await {
                return limit;
            }
            // Measuring may cost no more than a tenth of the time, however much there is.
            tokio::time::sleep((began.elapsed() * 10).saturating_sub(SCRATCH_INTERVAL)).await;
        }
    };
    let result = tokio::select! {
        // A call that has returned counts as returned, even if a limit or a stop became due at the same poll.
        biased;
        result = work => result,
        () = tokio::time::sleep(deadline.saturating_add(TRAP_GRACE)) => Err(CallEnd::Deadline),
        () = stopped => Err(CallEnd::Stopped),
        () = abandoned.cancelled() => Err(CallEnd::Stopped),
        limit = overflow => Err(CallEnd::Limit(limit)),
    };
    let cpu_time = store::thread_cpu_time().saturating_sub(cpu_start);
    report_usage(store.data(), cpu_time);
    CallResult { result, usage: RunUsage::of(store.data(), cpu_time) }
}
