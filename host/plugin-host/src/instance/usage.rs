//! What a run has used of its limits, for people who look while it runs and after it.

use std::time::Duration;

use posemesh_runner_api::reports::{LimitUse, StopReason};

use crate::instance::memory::RefusedGrowth;
use crate::instance::state::RunState;
use crate::manifest::limits::Limit;

/// What is known of an instance after its call.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunUsage {
    /// Bytes of linear memory at the end.
    pub(crate) memory_bytes: u64,
    /// Time on the processor.
    pub(crate) cpu_time: Duration,
    /// The last growth of memory or of a table that was refused.
    pub(crate) refused: Option<RefusedGrowth>,
    /// Why the runner was asked to stop, if it was.
    pub(crate) stopped: Option<StopReason>,
}

impl RunUsage {
    pub(crate) fn of(state: &RunState, cpu_time: Duration) -> Self {
        let memory = &state.memory;
        Self {
            memory_bytes: memory.memory_used(),
            cpu_time,
            refused: memory.refused().cloned(),
            stopped: state.control.reports.stop_reason(),
        }
    }
}

/// Hands what a run has used to the task's record; `cpu_time` is the time on the processor so far.
pub(crate) fn report_usage(state: &RunState, cpu_time: Duration) {
    let used = |limit: Limit, used| LimitUse { limit: limit.as_str(), used, of: state.limits.get(limit) };
    let outputs = state.outputs.budget();
    state.control.reports.set_usage(vec![
        used(Limit::MemoryBytes, state.memory.memory_used()),
        used(Limit::DeadlineMs, millis(state.control.elapsed())),
        used(Limit::CpuTimeMs, millis(cpu_time)),
        used(Limit::ScratchBytes, state.scratch.used()),
        used(Limit::OutputBytes, outputs.bytes_used()),
        used(Limit::Artifacts, outputs.artifacts_used()),
        used(Limit::LogBytes, state.control.log.bytes()),
    ]);
}

/// Whole milliseconds, as limits and reports count time.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
