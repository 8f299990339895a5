//! What a run has used of its limits, for people who look while it runs and after it.

use std::time::Duration;

use super::state::RunState;
use posemesh_runner_api::reports::LimitUse;

impl RunState {
    /// Tells the task's record; `cpu` is the time on the processor so far.
    pub(super) fn tell_usage(&self, cpu: Duration) {
        let limits = &self.limits;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let limit = |limit, used, of| LimitUse { limit, used, of };
        self.reports.set_usage(vec![
            limit("memory_bytes", self.memory.memory_used(), limits.memory_bytes),
            limit("deadline_ms", millis(self.started.elapsed()), limits.deadline_ms),
            limit("cpu_time_ms", millis(cpu), limits.cpu_time_ms),
            limit("scratch_bytes", self.scratch.used(), limits.scratch_bytes),
            limit("output_bytes", limits.output_bytes - self.output_bytes_left, limits.output_bytes),
            limit("artifacts", limits.artifacts - self.artifacts_left, limits.artifacts),
            limit("log_bytes", self.log.bytes(), limits.log_bytes),
        ]);
    }
}
