//! What makes the node ready, and what is missing when it is not.

use std::sync::Arc;
use std::time::Duration;

use posemesh_runner_api::runner::Runners;
use tokio::sync::watch;
use tokio::time::Instant;

use super::reason::{NodeReason, Reason};
use crate::admission::{Trouble, TroubleBoard};
use crate::auth::token::TokenStatus;
use crate::noop::NoopCheck;
use crate::records::TaskRecords;
use crate::registration::RegistrationStatus;
use crate::shutdown::{AfterDrain, Pause, Shutdown};

/// How many runners are named whose circuit breakers are open.
const SUSPENDED_SHOWN: usize = 5;

/// What readiness is judged by, each time that somebody asks.
#[derive(Clone)]
pub(crate) struct Readiness {
    /// Where the node stands with DDS.
    pub(crate) registration: watch::Receiver<RegistrationStatus>,
    /// How the last registration failed, if it did.
    pub(crate) registration_error: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// What is known of the machine token.
    pub(crate) token: Arc<dyn Fn() -> TokenStatus + Send + Sync>,
    /// At least one runner must be live, and none stuck.
    pub(crate) runners: Arc<dyn Runners>,
    /// Say how many slots are free, and when the server last answered.
    pub(crate) records: TaskRecords,
    /// Says why no leases are taken.
    pub(crate) board: TroubleBoard,
    /// A draining node takes no more work.
    pub(crate) shutdown: Shutdown,
    /// While there are free slots, the server must have answered a request for work within that time.
    pub(crate) longest_silence: Duration,
    /// How many leases the node works on at once.
    pub(crate) slots: watch::Receiver<usize>,
    /// Says what is left of the last reload of the settings.
    pub(crate) reload_warnings: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Whether a noop runner is asked for and is not there.
    pub(crate) noop: NoopCheck,
    /// Which folders are open to other users, in words.
    pub(crate) folders: Arc<[String]>,
    /// Says what is wrong with the history of tasks.
    pub(crate) history: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) reason: Reason,
    /// For people.
    pub(crate) text: String,
}

impl Missing {
    fn new(reason: NodeReason, text: impl Into<String>) -> Self {
        Self { reason: Reason::Node(reason), text: text.into() }
    }
}

impl Readiness {
    /// Everything that is missing, in words; nothing when the node is ready.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.findings().into_iter().map(|missing| missing.text).collect()
    }

    /// Everything that is missing; nothing when the node is ready.
    pub(crate) fn findings(&self) -> Vec<Missing> {
        // Goes on after the first finding: whoever mends one thing should not learn of the next only then.
        let mut missing = Vec::new();
        if self.shutdown.stopping().is_cancelled() {
            missing.push(Missing::new(NodeReason::Stopping, "it is stopping: it takes no more work"));
        }
        if let Some(pause) = self.shutdown.paused() {
            missing.push(Missing::new(NodeReason::Paused, paused(&pause)));
        } else if let Some(then) = self.shutdown.draining() {
            missing.push(Missing::new(NodeReason::Draining, draining(then)));
        }
        let registration = *self.registration.borrow();
        if registration != RegistrationStatus::Registered {
            let why = (self.registration_error)().map(|error| format!(": {error}")).unwrap_or_default();
            missing.push(Missing::new(
                NodeReason::NotRegistered,
                format!("it is not registered with DDS ({registration}){why}"),
            ));
        }
        let token = (self.token)();
        if token.valid_for.is_none() {
            let why = token.last_error.map(|error| format!(": {error}")).unwrap_or_default();
            missing.push(Missing::new(NodeReason::NoToken, format!("it has no valid token{why}")));
        }
        if self.runners.capabilities().borrow().is_empty() {
            missing.push(Missing::new(NodeReason::NothingServed, self.why_nothing_is_served()));
            let noop = self.noop.missing(&self.runners.capabilities().borrow());
            missing.extend(noop.map(|text| Missing::new(NodeReason::NothingServed, text)));
        }
        let troubles = self.board.list();
        // Without a free slot, or in trouble, the node asks for no work, so silence then says nothing about DMS.
        let free = self.records.totals().running() < self.slots()
            && troubles.is_empty()
            && self.shutdown.draining().is_none();
        let polls = self.records.polls();
        let silence = polls.since_answer();
        if free && silence.is_none_or(|silence| silence > self.longest_silence) {
            let why =
                polls.error().map(|error| format!("; the last one failed: {error}")).unwrap_or_default();
            let text = match silence {
                None => format!("DMS has not answered a request for work yet{why}"),
                Some(silence) => {
                    format!("DMS last answered a request for work {} s ago{why}", silence.as_secs())
                }
            };
            missing.push(Missing::new(NodeReason::DmsSilent, text));
        }
        let of_board =
            |trouble: &Trouble| Missing { reason: Reason::Trouble(trouble.cause), text: trouble.to_string() };
        missing.extend(troubles.iter().map(of_board));
        let stuck = self.stuck_runners();
        if stuck > 0 {
            let text = format!(
                "{stuck} runners could not be ended and keep a thread each; unless they end, the node needs a \
                 restart"
            );
            missing.push(Missing::new(NodeReason::StuckRunners, text));
        }
        missing
    }

    /// How many leases the node works on at once.
    pub(super) fn slots(&self) -> u64 {
        *self.slots.borrow() as u64
    }

    /// What an operator asked for and does not get, in words, though the node can work without it.
    pub(super) fn warnings(&self) -> Vec<String> {
        let noop = self.noop.missing(&self.runners.capabilities().borrow());
        let folders = self.folders.iter().cloned();
        noop.into_iter()
            .chain(folders)
            .chain((self.reload_warnings)())
            .chain((self.history)())
            .chain(self.runners.suspended().into_iter().take(SUSPENDED_SHOWN))
            .collect()
    }

    /// Why there is no capability: an operator who reads of breakers need not look for a missing file.
    fn why_nothing_is_served(&self) -> String {
        let suspended = self.runners.suspended();
        if suspended.is_empty() {
            return "no runner is live; PLUGINS_DIR is where they are taken from".to_owned();
        }
        let shown: Vec<&str> = suspended.iter().take(SUSPENDED_SHOWN).map(String::as_str).collect();
        let more = suspended.len().saturating_sub(shown.len());
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!(
            "no capability is served, since the live runners fail again and again: {}{more}. `plugin list` shows \
             them, `plugin close-breaker NAME` tries one at once",
            shown.join("; "),
        )
    }

    /// Runners that could not be ended and hold a thread now.
    pub(super) fn stuck_runners(&self) -> usize {
        self.runners.stuck() + self.records.aborted_runs()
    }
}

/// That the node drains, and what ends that.
const fn draining(then: AfterDrain) -> &'static str {
    match then {
        AfterDrain::Stop => {
            "it is draining: it takes no new lease until it is resumed, and ends after its last task"
        }
        AfterDrain::Stay => "it is draining: it takes no new lease until it is resumed or started anew",
    }
}

/// That the node is paused, for how long, and why.
fn paused(pause: &Pause) -> String {
    let note = if pause.note.is_empty() { String::new() } else { format!(": {}", pause.note) };
    match pause.until.map(|until| until.saturating_duration_since(Instant::now()).as_secs()) {
        Some(left) => format!("it is paused for another {left} s{note}"),
        None => format!("it is paused until it is resumed{note}"),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::admission::Cause;
    use crate::noop::NoopSettings;
    use crate::testing::FakeRunners;

    /// A node that is ready, as long as its runners are.
    fn ready(runners: Arc<FakeRunners>) -> Readiness {
        let records = TaskRecords::default();
        records.poll_answered("no_work");
        let valid = TokenStatus { valid_for: Some(Duration::from_secs(60)), renewals: 1, last_error: None };
        Readiness {
            registration: watch::channel(RegistrationStatus::Registered).1,
            registration_error: Arc::new(|| None),
            token: Arc::new(move || valid.clone()),
            runners,
            records,
            board: TroubleBoard::default(),
            shutdown: Shutdown::new(),
            longest_silence: Duration::from_secs(60),
            slots: watch::channel(1).1,
            reload_warnings: Arc::new(Vec::new),
            noop: NoopCheck::new(NoopSettings::default(), Path::new("/nowhere")),
            folders: Arc::new([]),
            history: Arc::new(Vec::new),
        }
    }

    #[tokio::test]
    async fn a_node_is_ready_again_when_its_stuck_runners_have_ended() {
        let runners = Arc::new(FakeRunners::new(|_| async { Ok(()) }));
        let readiness = ready(runners.clone());
        assert_eq!(readiness.missing(), [""; 0], "it is ready to begin with");
        runners.set_stuck(2);
        let missing = readiness.missing().join("\n");
        assert!(missing.contains("2 runners could not be ended"), "{missing}");
        runners.set_stuck(0);
        assert_eq!(readiness.missing(), [""; 0], "it is ready once their threads are free");
    }

    #[tokio::test]
    async fn a_pause_a_drain_and_a_trouble_have_their_reasons() {
        let reasons = |readiness: &Readiness| -> Vec<&str> {
            readiness.findings().iter().map(|missing| missing.reason.as_str()).collect()
        };
        let readiness = ready(Arc::new(FakeRunners::new(|_| async { Ok(()) })));
        readiness.shutdown.pause(Pause { note: "new disk".to_owned(), until: None });
        assert_eq!(reasons(&readiness), ["paused"]);
        readiness.shutdown.drain(AfterDrain::Stay);
        assert_eq!(reasons(&readiness), ["draining"]);
        assert!(readiness.missing()[0].contains("resumed or started anew"), "{:?}", readiness.missing());
        readiness.shutdown.resume();
        readiness.board.set(&[Cause::Disk], &[Trouble::new(Cause::Disk, "no space")]);
        assert_eq!(reasons(&readiness), ["disk"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_causes_of_a_refused_registration_and_of_a_silent_job_server_are_told() {
        let runners = Arc::new(FakeRunners::new(|_| async { Ok(()) }));
        let mut readiness = ready(runners);
        readiness.registration = watch::channel(RegistrationStatus::Registering).1;
        readiness.registration_error = Arc::new(|| Some("DDS answered 403 Forbidden".to_owned()));
        tokio::time::advance(Duration::from_secs(61)).await;
        readiness.records.poll_failed("failed", "could not connect to dms.example:443");
        let missing = readiness.missing().join("\n");
        for part in [
            "not registered with DDS (registering): DDS answered 403 Forbidden",
            "61 s ago; the last one failed: could not connect to dms.example:443",
        ] {
            assert!(missing.contains(part), "{part:?} is not in {missing:?}");
        }
        readiness.records.poll_answered("no_work");
        assert!(!readiness.missing().join("\n").contains("DMS"), "it has answered");
    }

    #[tokio::test]
    async fn a_node_whose_runners_are_all_left_out_says_that_breakers_are_open_and_what_helps() {
        let runners = Arc::new(FakeRunners::new(|_| async { Ok(()) }));
        let readiness = ready(runners.clone());
        runners.suspend((1..=7).map(|n| format!("the circuit breaker of r{n} is open")).collect());
        let missing = readiness.missing().join("\n");
        for part in ["breaker of r1 is open", "r5 is open; and 2 more", "plugin close-breaker NAME"] {
            assert!(missing.contains(part), "{part:?} is not in {missing:?}");
        }
        assert!(!missing.contains("no runner is live"), "{missing}");
    }
}
