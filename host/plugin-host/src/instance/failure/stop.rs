//! Failures of runners that were asked to stop: one that is ended in the middle of its work may fail in any way, which
//! says nothing about it.

use posemesh_runner_api::failure::{Blame, FailureKind};
use posemesh_runner_api::reports::StopReason;

/// Whose fault such a failure is: nobody's but the one's who asked, as of any cancelled task. A runner that can't be
/// ended is wrong all the same.
pub(super) fn blame_after_stop(kind: FailureKind) -> Blame {
    match kind.blame() {
        Blame::Runner if kind != FailureKind::Stuck => Blame::Task,
        blame => blame,
    }
}

/// The reason with the request to stop, which may be behind it.
pub(super) fn with_stop(kind: FailureKind, reason: String, stop: StopReason) -> String {
    let why = match stop {
        // The kind says so already.
        _ if kind == FailureKind::Cancelled => return reason,
        StopReason::Cancelled => "the task was cancelled",
        StopReason::LeaseLost => "the lease was lost",
        StopReason::Shutdown => "the node shuts down",
    };
    format!("{reason} (after it had been asked to stop: {why})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_was_asked_to_stop_is_not_judged_by_how_it_ends_unless_it_does_not() {
        assert_eq!(blame_after_stop(FailureKind::Trap), Blame::Task);
        assert_eq!(blame_after_stop(FailureKind::Deadline), Blame::Task);
        assert_eq!(blame_after_stop(FailureKind::Host), Blame::Host);
        assert_eq!(blame_after_stop(FailureKind::Stuck), Blame::Runner);
    }

    #[test]
    fn a_trap_after_a_request_to_stop_is_told_as_such() {
        let trap = || "the runner trapped".to_owned();
        let told = with_stop(FailureKind::Trap, trap(), StopReason::Shutdown);
        assert_eq!(told, "the runner trapped (after it had been asked to stop: the node shuts down)");
        assert_eq!(with_stop(FailureKind::Cancelled, trap(), StopReason::Shutdown), trap());
    }
}
