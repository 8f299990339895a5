//! The pause after a task that failed by the node's own fault.
//!
//! A task's failure costs its job an attempt, so a node in trouble must not go on: after such a failure no lease is
//! asked for during a time that grows; then one task is tried, and its end decides. A shortage may leave room for some
//! tasks and not for more, so each failure also lowers how many run at the same time, to what ran beside the one that
//! failed; that bound rises again by one for each five minutes without such a failure.
//!
//! A pause outlives the process by a note of it: a restart is nobody's word that the machine is well.

use std::time::Duration;

use posemesh_net::retry::{Backoff, Jitter};
use posemesh_runner_api::failure::Blame;
use posemesh_text::one_line;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::{Cause, Trouble, TroubleBoard};
use crate::lease::SessionEnd;
use crate::millis::millis;
use crate::wall_clock::now_ms;

/// The first pause is up to this long; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// More pauses in a row than it takes to reach the longest one.
const MAX_PAUSES: u32 = 10;
/// The longest reason that is shown.
const MAX_REASON: usize = 300;

/// A pause as the next process is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseNote {
    /// When a task is tried, in milliseconds since 1970.
    until_ms: u64,
    /// Pauses in a row, each longer than the one before.
    pauses: u32,
    /// Why the last task failed, on one line.
    reason: String,
}

/// Whether a lease may be asked for, as far as the node's own failures go.
#[derive(Debug)]
pub(super) struct Pause {
    board: TroubleBoard,
    /// Grows with failed trials in a row.
    backoff: Backoff,
    /// How often it has grown.
    pauses: u32,
    /// What the next process is to know.
    note: watch::Sender<Option<PauseNote>>,
    /// The end of the pause; none without a failure since the last task that got on.
    until: Option<Instant>,
    /// The task that is tried.
    trial: Option<Uuid>,
    /// How many tasks may run at the same time.
    ceiling: usize,
    /// When the bound was changed last.
    changed: Instant,
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
        Self {
            board,
            backoff,
            pauses: 0,
            note: watch::Sender::new(None),
            until: None,
            trial: None,
            ceiling: usize::MAX,
            changed: Instant::now(),
        }
    }

    /// What the next process is to know, as it changes.
    pub(super) fn note(&self) -> watch::Receiver<Option<PauseNote>> {
        self.note.subscribe()
    }

    /// The process before this one paused: what was left of that goes on, and one task is tried after it.
    pub(super) fn recall(&mut self, note: PauseNote) {
        // The clock may have been set meanwhile.
        let left = Duration::from_millis(note.until_ms.saturating_sub(now_ms())).min(LONGEST_PAUSE);
        self.until = Some(Instant::now() + left);
        for _ in 0..note.pauses.min(MAX_PAUSES) {
            self.grow();
        }
        self.show(&note.reason);
        self.note.send_replace(Some(note));
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

    /// Whether no more tasks may run beside so many.
    pub(super) fn is_full(&self, running: usize) -> bool {
        running >= self.ceiling
    }

    /// A task has ended; `running` go on.
    pub(super) fn ended(&mut self, end: &SessionEnd, running: usize) {
        let was_trial = self.trial == Some(end.task_id);
        if was_trial {
            self.trial = None;
        }
        // What got from the node what it needed, though it may have failed otherwise.
        let got_on = match end.blame {
            Some(blame) => blame != Blame::Host,
            None => end.is_completed(),
        };
        if end.blame == Some(Blame::Host) {
            self.failed(end.reason(), running);
        } else if got_on {
            self.rise();
            // A task that ran before the failure says nothing of what is there for a further one.
            if was_trial {
                self.until = None;
                self.note.send_replace(None);
                self.board.set(&[Cause::Host], &[]);
            }
        }
    }

    fn rise(&mut self) {
        if self.ceiling != usize::MAX && self.changed.elapsed() >= LONGEST_PAUSE {
            self.changed = Instant::now();
            self.ceiling = self.ceiling.saturating_add(1);
            self.backoff.reset();
            self.pauses = 0;
        }
    }

    /// The session of a task broke down without an end.
    pub(super) fn broke_down(&mut self) {
        // Which one it was is not known; a trial that never ends would hold up the node for good.
        self.trial = None;
    }

    fn failed(&mut self, reason: &str, running: usize) {
        self.ceiling = self.ceiling.min(running.max(1));
        self.changed = Instant::now();
        // Tasks that ran at the same time fail together: they count as one.
        if self.until.is_none_or(|until| until <= Instant::now()) {
            let pause = self.grow();
            self.until = Some(Instant::now() + pause);
            let (until_ms, reason) = (now_ms().saturating_add(millis(pause)), one_line(reason, MAX_REASON));
            self.note.send_replace(Some(PauseNote { until_ms, pauses: self.pauses, reason }));
        }
        self.show(reason);
    }

    fn grow(&mut self) -> Duration {
        self.pauses = self.pauses.saturating_add(1);
        self.backoff.next_delay()
    }

    fn show(&self, reason: &str) {
        let text = format!(
            "a task failed by this node's own fault ({}); one at a time is tried, after growing pauses",
            one_line(reason, MAX_REASON)
        );
        self.board.set(&[Cause::Host], &[Trouble::new(Cause::Host, text)]);
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
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
        for running in (0..8).rev() {
            pause.ended(&end(Some(Blame::Host)), running);
        }
        assert!(seconds(&pause).is_some_and(|wait| (4..10).contains(&wait)), "{:?}", pause.wait());
        assert!(pause.board.list().iter().any(|trouble| trouble.text.contains("no space left")));
        tokio::time::advance(10 * SECOND).await;
        pause.leased(Uuid::nil());
        assert_eq!(pause.wait(), Wait::ForTrial);
        pause.ended(&end(Some(Blame::Host)), 0);
        assert!(seconds(&pause).is_some_and(|wait| (9..20).contains(&wait)), "{:?}", pause.wait());
        tokio::time::advance(20 * SECOND).await;
        pause.leased(Uuid::nil());
        pause.ended(&end(None), 0);
        assert_eq!(pause.wait(), Wait::Not);
        assert_eq!(pause.board.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_goes_on_in_the_next_process_and_one_task_decides_there_too() {
        let mut pause = Pause::new(TroubleBoard::default());
        let note = pause.note();
        assert_eq!(*note.borrow(), None);
        for _ in 0..4 {
            pause.ended(&end(Some(Blame::Host)), 0);
            tokio::time::advance(LONGEST_PAUSE).await;
        }
        let noted = note.borrow().clone();
        let Some(noted) = noted else { panic!("nothing is noted") };

        let mut next = Pause::new(TroubleBoard::default());
        next.recall(noted.clone());
        // The fourth pause is from 40 to 80 s.
        assert!(seconds(&next).is_some_and(|wait| (35..=80).contains(&wait)), "{:?}", next.wait());
        assert!(next.board.list().iter().any(|trouble| trouble.text.contains("no space left")));
        assert_eq!(*next.note().borrow(), Some(noted.clone()), "the one after it is told, too");
        tokio::time::advance(80 * SECOND).await;
        next.leased(Uuid::nil());
        assert_eq!(next.wait(), Wait::ForTrial);
        next.ended(&end(Some(Blame::Host)), 0);
        assert!(seconds(&next).is_some_and(|wait| (79..160).contains(&wait)), "it grows: {:?}", next.wait());
        tokio::time::advance(160 * SECOND).await;
        next.leased(Uuid::nil());
        next.ended(&end(None), 0);
        assert_eq!((next.wait(), next.note().borrow().clone()), (Wait::Not, None));

        // One whose time is over, or whose clock was wrong.
        for (until_ms, most) in [(0, 0), (u64::MAX, LONGEST_PAUSE.as_secs())] {
            let mut next = Pause::new(TroubleBoard::default());
            next.recall(PauseNote { until_ms, pauses: u32::MAX, ..noted.clone() });
            assert_eq!(seconds(&next), Some(most));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_runners_tasks_and_servers_do_wrong_pauses_nothing() {
        let mut pause = Pause::new(TroubleBoard::default());
        for blame in [Blame::Runner, Blame::Task, Blame::Server] {
            for _ in 0..10 {
                pause.ended(&end(Some(blame)), 0);
            }
        }
        assert_eq!(pause.wait(), Wait::Not);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_for_some_of_the_tasks_lowers_how_many_run_and_a_task_that_ran_before_ends_no_pause() {
        let mut pause = Pause::new(TroubleBoard::default());
        // Eight were started, five found no room; three go on and complete.
        for running in (3..8).rev() {
            pause.ended(&end(Some(Blame::Host)), running);
        }
        let other = SessionEnd { task_id: Uuid::from_u128(9), ..end(None) };
        pause.ended(&other, 2);
        assert!(seconds(&pause).is_some(), "the pause goes on");
        assert!(pause.is_full(3) && !pause.is_full(2), "three found room");
        tokio::time::advance(10 * SECOND).await;
        pause.leased(Uuid::nil());
        pause.ended(&end(None), 0);
        assert_eq!(pause.wait(), Wait::Not);
        assert!(pause.is_full(3), "the bound outlasts the pause");
        tokio::time::advance(LONGEST_PAUSE).await;
        pause.ended(&other, 2);
        assert!(!pause.is_full(3) && pause.is_full(4), "and rises slowly");
    }
}
