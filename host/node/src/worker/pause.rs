//! The pause after a task that failed by the node's own fault.
//!
//! A task's failure costs its job an attempt, so a node in trouble must not go on: after such a failure no lease is
//! asked for during a time that grows; then one task is tried, and its end decides. Any task that gets on with the node
//! ends the pause, as one that was running already may.

use std::time::Duration;

use posemesh_net::retry::{Backoff, Jitter};
use posemesh_runner_api::failure::Blame;
use posemesh_text::one_line;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::{Cause, Trouble, TroubleBoard};
use crate::lease::SessionEnd;

/// The first pause is up to this long; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest reason that is shown.
const MAX_REASON: usize = 300;

/// Whether a lease may be asked for, as far as the node's own failures go.
#[derive(Debug)]
pub(super) struct Pause {
    board: TroubleBoard,
    /// Grows with failed trials in a row.
    backoff: Backoff,
    /// The end of the pause; none without a failure since the last task that got on.
    until: Option<Instant>,
    /// The task that is tried.
    trial: Option<Uuid>,
}

/// Whether a lease may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// At any time.
    Not,
    /// From this moment on.
    Until(Instant),
    /// When the task that is tried has ended.
    ForTrial,
}

impl Pause {
    pub(super) fn new(board: TroubleBoard) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, Jitter::UPPER_HALF);
        Self { board, backoff, until: None, trial: None }
    }

    pub(super) fn wait(&self) -> Wait {
        match (self.trial, self.until) {
            (Some(_), _) => Wait::ForTrial,
            (None, Some(until)) => Wait::Until(until),
            (None, None) => Wait::Not,
        }
    }

    /// A task was leased: after a failure, it is the one that is tried.
    pub(super) fn leased(&mut self, task_id: Uuid) {
        if self.until.is_some() {
            self.trial = Some(task_id);
        }
    }

    /// A task has ended.
    pub(super) fn ended(&mut self, end: &SessionEnd) {
        if self.trial == Some(end.task_id) {
            self.trial = None;
        }
        match end.blame {
            Some(Blame::Host) => self.failed(end.reason()),
            // The task got from the node what it needed.
            Some(Blame::Runner | Blame::Task | Blame::Server) => self.passed(),
            None if end.is_completed() => self.passed(),
            // Cancelled or lost: it says nothing.
            None => {}
        }
    }

    /// The session of a task broke down without an end.
    pub(super) fn broke_down(&mut self) {
        // Which one it was is not known; a trial that never ends would hold up the node for good.
        self.trial = None;
    }

    fn failed(&mut self, reason: &str) {
        // Tasks that ran at the same time fail together: they count as one.
        if self.until.is_none_or(|until| until <= Instant::now()) {
            self.until = Some(Instant::now() + self.backoff.next_delay());
        }
        let text = format!(
            "a task failed by this node's own fault ({}); one at a time is tried, after growing pauses",
            one_line(reason, MAX_REASON)
        );
        self.board.set(&[Cause::Host], &[Trouble::new(Cause::Host, text)]);
    }

    fn passed(&mut self) {
        self.until = None;
        self.backoff.reset();
        self.board.set(&[Cause::Host], &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::LeaseOutcome;

    const SECOND: Duration = Duration::from_secs(1);

    fn end(blame: Option<Blame>) -> SessionEnd {
        let outcome = match blame {
            None => LeaseOutcome::Completed { confirmed: true },
            Some(_) => LeaseOutcome::Failed { reason: "no space left".to_owned(), confirmed: true },
        };
        SessionEnd { task_id: Uuid::nil(), outcome, started: true, blame }
    }

    fn seconds(pause: &Pause) -> Option<u64> {
        match pause.wait() {
            Wait::Until(until) => Some(until.saturating_duration_since(Instant::now()).as_secs()),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_of_the_node_pauses_and_a_trial_decides() {
        let mut pause = Pause::new(TroubleBoard::default());
        assert_eq!(pause.wait(), Wait::Not);
        // Eight tasks that ran at the same time.
        for _ in 0..8 {
            pause.ended(&end(Some(Blame::Host)));
        }
        assert!(seconds(&pause).is_some_and(|wait| (4..10).contains(&wait)), "{:?}", pause.wait());
        assert!(pause.board.list().iter().any(|trouble| trouble.text.contains("no space left")));
        tokio::time::advance(10 * SECOND).await;
        pause.leased(Uuid::nil());
        assert_eq!(pause.wait(), Wait::ForTrial);
        pause.ended(&end(Some(Blame::Host)));
        assert!(seconds(&pause).is_some_and(|wait| (9..20).contains(&wait)), "{:?}", pause.wait());
        tokio::time::advance(20 * SECOND).await;
        pause.leased(Uuid::nil());
        pause.ended(&end(None));
        assert_eq!(pause.wait(), Wait::Not);
        assert_eq!(pause.board.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_runners_tasks_and_servers_do_wrong_pauses_nothing() {
        let mut pause = Pause::new(TroubleBoard::default());
        for blame in [Blame::Runner, Blame::Task, Blame::Server] {
            for _ in 0..10 {
                pause.ended(&end(Some(blame)));
            }
        }
        assert_eq!(pause.wait(), Wait::Not);
    }
}
