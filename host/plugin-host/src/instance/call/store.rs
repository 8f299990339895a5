//! A store with everything that bounds its guest from inside: memory, handles, copies, and what an epoch tick
//! checks.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use crate::instance::census;
use crate::instance::linked::LinkedRunner;
use crate::instance::state::RunState;
use crate::instance::usage::report_usage;
use crate::manifest::fixed_limit::FixedLimit;
use crate::manifest::limits::Limit;

/// How many times the limit of handles a component may have in the engine's own tables: its own resources, and whatever is
/// lent to a call, count there as well.
const ENGINE_HANDLES: usize = 4;

/// A store that traps its guest at an epoch tick once the call is abandoned or a limit is reached.
pub(super) fn new_store(
    pre: &LinkedRunner,
    state: RunState,
    abandoned: CancellationToken,
    cpu_start: Duration,
) -> Store<RunState> {
    let deadline = state.limits.reached(Limit::DeadlineMs);
    let cpu_time = state.limits.reached(Limit::CpuTimeMs);
    let (started, time) = (Instant::now(), state.limits.deadline());
    let handles = usize::try_from(state.limits.handles).unwrap_or(usize::MAX);
    let scratch = state.scratch.clone();
    let mut store = Store::new(pre.engine(), state);
    store.limiter(|state| &mut state.memory);
    // Otherwise a guest could make the host copy its whole memory in one call, out of sight of the limiter.
    store.set_hostcall_fuel(FixedLimit::CallBytes.bytes());
    // Resources of the component's own are made without a call of the host.
    store.set_max_component_handles(handles.saturating_mul(ENGINE_HANDLES));
    // What WASI 0.3 tasks, streams and futures take on the host's side is bounded as other handles are.
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(handles);
    }
    // A new store's epoch deadline is already over; one tick ahead, the callback below is asked every 10 ms.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut context| {
        if abandoned.is_cancelled() {
            return Err(wasmtime::Error::msg("the runner was abandoned"));
        }
        // The measurement runs beside the guest and can only leave a mark; the trap here leaves a backtrace.
        if let Some(limit) = scratch.reached() {
            return Err(limit.into());
        }
        // Trapped here rather than dropped from outside, so that the failure has a backtrace.
        if started.elapsed() > time {
            return Err(deadline.clone().into());
        }
        let used = thread_cpu_time().saturating_sub(cpu_start);
        report_usage(context.data(), used);
        if used.as_millis() > u128::from(cpu_time.value) {
            return Err(cpu_time.clone().into());
        }
        let concurrent = context.concurrent_resource_table().map_or(0, census::concurrent);
        let state = context.data_mut();
        let held = census::handles(&mut state.table).saturating_add(concurrent);
        state.memory.holds(held)?;
        // Yielding lets the deadline and a stop be seen.
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// Processor time of the current thread, which is all the guest's while it runs.
pub(super) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
