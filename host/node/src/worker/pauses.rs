//! Pauses after tasks that failed by the fault of the node or of a domain server.
//!
//! A task's failure costs its job an attempt, so a node in trouble must not go on: after such a failure no lease is
//! asked for during a time that grows; then one task is tried, and its end decides. The end of a running task that
//! succeeds against the same server ends the pause at once. Leases are asked for without naming a server, so a pause for
//! one holds up all; that one task is tried each time keeps work for other servers going.

use std::collections::BTreeMap;
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
/// How many tasks in a row may fail by the fault of one server before the node pauses: one may be the only one that
/// has no right there.
const SERVER_FAILURES: u32 = 3;
/// How many servers are remembered.
const MAX_SERVERS: usize = 64;
/// The longest reason that is shown.
const MAX_REASON: usize = 300;

/// What tasks have failed by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Culprit {
    Host,
    Server(String),
}

/// The failures of one culprit.
#[derive(Debug)]
struct Pause {
    failures: u32,
    backoff: Backoff,
    /// No lease is asked for before; none while too few tasks have failed.
    until: Option<Instant>,
    reason: String,
}

/// All pauses of a node.
#[derive(Debug)]
pub(super) struct Pauses {
    board: TroubleBoard,
    culprits: BTreeMap<Culprit, Pause>,
    /// The task that is tried while there is a pause.
    trial: Option<Uuid>,
}

impl Pauses {
    pub(super) fn new(board: TroubleBoard) -> Self {
        Self { board, culprits: BTreeMap::new(), trial: None }
    }

    /// The moment before which no lease is asked for; none if one may be asked for at any time. Nothing is asked for
    /// while a task is tried.
    pub(super) fn wait(&self) -> Wait {
        if self.trial.is_some() {
            return Wait::ForTrial;
        }
        match self.culprits.values().filter_map(|pause| pause.until).max() {
            Some(until) => Wait::Until(until),
            None => Wait::Not,
        }
    }

    /// A task was leased: while there is a pause, it is the one that is tried.
    pub(super) fn leased(&mut self, task_id: Uuid) {
        if self.culprits.values().any(|pause| pause.until.is_some()) {
            self.trial = Some(task_id);
        }
    }

    /// A task has ended.
    pub(super) fn ended(&mut self, end: &SessionEnd) {
        if self.trial == Some(end.task_id) {
            self.trial = None;
        }
        let server = end.server.clone().map(Culprit::Server);
        match end.blame {
            Some(Blame::Host) => self.failed(Culprit::Host, 1, end.reason()),
            Some(Blame::Server) => {
                if let Some(server) = server {
                    self.failed(server, SERVER_FAILURES, end.reason());
                }
            }
            // The runner was given what it needs, by the node at least; what it asked of the server is not known.
            Some(Blame::Runner | Blame::Task) => self.passed(&Culprit::Host),
            None if end.is_completed() => {
                self.passed(&Culprit::Host);
                server.iter().for_each(|server| self.passed(server));
            }
            // Cancelled or lost: it says nothing.
            None => {}
        }
        self.show();
    }

    /// The session of a task broke down without an end.
    pub(super) fn broke_down(&mut self) {
        // Which one it was is not known; a trial that never ends would hold up the node for good.
        self.trial = None;
    }

    fn failed(&mut self, culprit: Culprit, allowed: u32, reason: &str) {
        if self.culprits.len() >= MAX_SERVERS && !self.culprits.contains_key(&culprit) {
            self.culprits.retain(|_, pause| pause.until.is_some());
            if self.culprits.len() >= MAX_SERVERS {
                return;
            }
        }
        let pause = self.culprits.entry(culprit).or_insert_with(|| Pause {
            failures: 0,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, Jitter::UPPER_HALF),
            until: None,
            reason: String::new(),
        });
        pause.failures += 1;
        pause.reason = one_line(reason, MAX_REASON);
        // Tasks that ran at the same time fail together: they count as one.
        let paused = pause.until.is_some_and(|until| until > Instant::now());
        if pause.failures >= allowed && !paused {
            pause.until = Some(Instant::now() + pause.backoff.next_delay());
        }
    }

    fn passed(&mut self, culprit: &Culprit) {
        self.culprits.remove(culprit);
    }

    fn show(&self) {
        let paused = self.culprits.iter().filter(|(_, pause)| pause.until.is_some());
        let troubles: Vec<Trouble> = paused
            .map(|(culprit, Pause { reason, .. })| match culprit {
                Culprit::Host => Trouble::new(Cause::Host, format!(
                    "the last task failed by this node's own fault ({reason}); one task at a time is tried, after growing pauses"
                )),
                Culprit::Server(server) => Trouble::new(Cause::Server, format!(
                    "tasks fail at the domain server {} ({reason}); one task at a time is tried, after growing pauses",
                    one_line(server, MAX_REASON)
                )),
            })
            .collect();
        self.board.set(&[Cause::Host, Cause::Server], &troubles);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::LeaseOutcome;

    const SECOND: Duration = Duration::from_secs(1);

    fn end(blame: Option<Blame>, server: &str) -> SessionEnd {
        let outcome = match blame {
            None => LeaseOutcome::Completed { confirmed: true },
            Some(_) => LeaseOutcome::Failed { reason: "no space left".to_owned(), confirmed: true },
        };
        SessionEnd { task_id: Uuid::nil(), outcome, started: true, blame, server: Some(server.to_owned()) }
    }

    fn seconds(pauses: &Pauses) -> Option<u64> {
        match pauses.wait() {
            Wait::Until(until) => Some(until.saturating_duration_since(Instant::now()).as_secs()),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_of_the_node_pauses_and_a_trial_decides() {
        let mut pauses = Pauses::new(TroubleBoard::default());
        assert_eq!(pauses.wait(), Wait::Not);
        // Eight tasks that ran at the same time.
        for _ in 0..8 {
            pauses.ended(&end(Some(Blame::Host), "a"));
        }
        assert!(seconds(&pauses).is_some_and(|wait| (4..10).contains(&wait)), "{:?}", pauses.wait());
        assert!(pauses.board.list()[0].text.contains("no space left"));
        tokio::time::advance(10 * SECOND).await;
        pauses.leased(Uuid::nil());
        assert_eq!(pauses.wait(), Wait::ForTrial);
        pauses.ended(&end(Some(Blame::Host), "a"));
        assert!(seconds(&pauses).is_some_and(|wait| (9..20).contains(&wait)), "{:?}", pauses.wait());
        tokio::time::advance(20 * SECOND).await;
        pauses.leased(Uuid::nil());
        pauses.ended(&end(None, "a"));
        assert_eq!(pauses.wait(), Wait::Not);
        assert_eq!(pauses.board.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_refuses_everything_pauses_after_three_and_one_task_without_a_right_does_not() {
        let mut pauses = Pauses::new(TroubleBoard::default());
        pauses.ended(&end(Some(Blame::Server), "a"));
        pauses.ended(&end(None, "a"));
        pauses.ended(&end(Some(Blame::Server), "a"));
        pauses.ended(&end(Some(Blame::Server), "a"));
        pauses.ended(&end(Some(Blame::Server), "b"));
        assert_eq!(pauses.wait(), Wait::Not);
        pauses.ended(&end(Some(Blame::Server), "a"));
        assert!(seconds(&pauses).is_some());
        // A task of another server passes: it says nothing of this one, and the next may be tried.
        tokio::time::advance(10 * SECOND).await;
        pauses.leased(Uuid::nil());
        pauses.ended(&end(None, "b"));
        assert_eq!(seconds(&pauses), Some(0));
        pauses.leased(Uuid::nil());
        pauses.ended(&end(None, "a"));
        assert_eq!(pauses.wait(), Wait::Not);
    }

    #[tokio::test(start_paused = true)]
    async fn what_runners_and_tasks_do_wrong_pauses_nothing() {
        let mut pauses = Pauses::new(TroubleBoard::default());
        for blame in [Blame::Runner, Blame::Task] {
            for _ in 0..10 {
                pauses.ended(&end(Some(blame), "a"));
            }
        }
        assert_eq!(pauses.wait(), Wait::Not);
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_that_are_remembered_are_bounded() {
        let mut pauses = Pauses::new(TroubleBoard::default());
        for server in 0..1000 {
            pauses.ended(&end(Some(Blame::Server), &format!("server-{server}")));
        }
        assert!(pauses.culprits.len() <= MAX_SERVERS);
    }
}
