//! One task in a sandbox process, from its order to its end, on the node's side. Whatever the process does or does not
//! do, this ends.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posemesh_files::remove_tree;
use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use posemesh_runner_api::reports::Reports;
use posemesh_runner_api::runner::RunnerCall;
use posemesh_text::one_line;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::instance::call::STOP_GRACE;
use crate::instance::outbound::Outbound;
use crate::instance::run::log_of;
use crate::instance::runner_log::RunnerLog;
use crate::instance::trouble::RunTrouble;
use crate::manifest::policy::Grant;
use crate::sandbox::node::budget::CallBudget;
use crate::sandbox::node::claims::HostClaims;
use crate::sandbox::node::ending::ProcessEnd;
use crate::sandbox::node::frames::{Frame, Frames};
use crate::sandbox::node::heard::{Ended, take_frame};
use crate::sandbox::node::objects::Objects;
use crate::sandbox::node::process::Process;
use crate::sandbox::node::requests::Requests;
use crate::sandbox::node::steps::Answers;
use crate::sandbox::wire::{CallId, Failure, MemoryId, Order, ToGuest};

/// Grace after the process should have ended a call by itself, before the process is ended: at the deadline it traps, is
/// dropped, and tells.
const KILL_GRACE: Duration = Duration::from_secs(3);
/// How long a process may say nothing about a task: it tells what the task has used four times a second.
const SILENCE: Duration = Duration::from_secs(60);
/// Grace after that: when the node itself did not run for a while, all that was said meanwhile has yet to be read.
const READING: Duration = Duration::from_secs(5);
/// A timer that fires so much later than it was set for says that the node itself did not run.
const LATE: Duration = Duration::from_secs(1);
/// The longest reason that is taken from a process, in bytes.
const MAX_REASON: usize = 8 << 10;
/// The largest details that are taken from a process, in bytes of JSON.
const MAX_DETAILS: usize = 64 << 10;

/// What a generation brings to each of its calls.
pub(super) struct CallSetup {
    pub(super) label: String,
    pub(super) grant: Arc<Grant>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) claims: Arc<HostClaims>,
    /// What an instance costs its process, in bytes.
    pub(super) instance_bytes: u64,
}

/// What became of a task in a process.
pub(super) struct Ran {
    pub(super) result: Result<(), RunFailure>,
    /// Whether the process had begun with it. If not, nothing of it has happened.
    pub(super) begun: bool,
}

impl Ran {
    fn host(what: String) -> Self {
        Self { result: Err(RunFailure::host(what)), begun: true }
    }
}

/// Runs one task in a process. Dropping the future ends it there.
pub(super) async fn run(process: Arc<Process>, setup: Arc<CallSetup>, call: RunnerCall) -> Ran {
    let abandoned = CancellationToken::new();
    let _abandon_on_drop = abandoned.clone().drop_guard();
    // On its own, so that what a dropped call leaves behind is cleaned up in order.
    let ended = tokio::spawn(drive(process, setup, call, abandoned)).await;
    ended.unwrap_or_else(|error| Ran::host(format!("the host failed while it ran the runner: {error}")))
}

async fn drive(
    process: Arc<Process>,
    setup: Arc<CallSetup>,
    call: RunnerCall,
    abandoned: CancellationToken,
) -> Ran {
    let began = Instant::now();
    let trouble = RunTrouble::default();
    let log = log_of(&setup.label, &setup.grant.limits, &call, &trouble);
    let (id, mut frames, _registered) = process.call();
    let folder = process.folder.join(format!("task-{id}"));
    let _room = process.begin(&setup.grant.limits);
    let context = CallContext { id, process: &process, setup: &setup, log: &log, trouble: &trouble };
    let (Ran { result, begun }, made) = context.run(call, folder.clone(), &mut frames, &abandoned).await;
    let result = setup.claims.judge(result, began, &folder, process.has_folder()).await;
    log.close().await;
    if made {
        // After the answer is known, and off its path: nobody waits for this.
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = remove_tree(&folder) {
                tracing::warn!(%error, "a task's sandbox directory was not removed whole");
            }
        }));
    }
    Ran { result, begun }
}

struct CallContext<'a> {
    id: CallId,
    process: &'a Arc<Process>,
    setup: &'a CallSetup,
    log: &'a RunnerLog,
    trouble: &'a RunTrouble,
}

impl CallContext<'_> {
    /// The result, and whether a folder was made for it.
    async fn run(
        &self,
        call: RunnerCall,
        folder: PathBuf,
        frames: &mut Frames,
        abandoned: &CancellationToken,
    ) -> (Ran, bool) {
        let limits = &self.setup.grant.limits;
        let (memory, page) = match self.process.memories.take() {
            Ok(taken) => taken,
            Err(error) => {
                return (Ran::host(format!("making the memory of a call: {error}")), false);
            }
        };
        call.disk.set_limit(limits.scratch_bytes);
        let page = Arc::new(page);
        call.disk.share_with(page.clone());
        let http =
            !self.setup.grant.network_hosts.is_empty() || !self.setup.grant.private_network_hosts.is_empty();
        let requests = http.then(|| Requests::new(Outbound::new(&self.setup.grant, self.log.clone())));
        let reports = call.reports.clone();
        let answers = Answers::new(self.process.channel(), self.id);
        let budget = CallBudget::new(limits);
        let mut objects = Objects::new(
            call.inputs,
            call.outputs,
            requests,
            memory.arena().clone(),
            answers,
            budget,
            self.trouble.clone(),
        );
        let order = Order {
            call: self.id,
            memory: memory.id(),
            label: self.setup.label.clone(),
            task: call.task,
            folder: folder.display().to_string(),
            limits: limits.clone(),
            environment: self.setup.environment.clone(),
            http,
            instance_bytes: self.setup.instance_bytes,
        };
        let new = [memory.arena().file().as_fd(), memory.page().as_fd()];
        let descriptors = if memory.is_new { &new[..] } else { &[] };
        let sent = self.process.send(&ToGuest::Run(Box::new(order)), descriptors).await;
        let ended = match sent {
            Ok(()) => self.follow(&reports, &mut objects, memory.id(), frames, abandoned).await,
            Err(_) => Err(self.crashed(&self.process.over().await)),
        };
        objects.close_all().await;
        call.disk.share_no_more();
        // Before anybody is blamed: what became of the lines is this machine's trouble.
        self.log.written().await;
        match ended {
            Ok(Ended { result, folder }) => {
                let abandoned = abandoned.is_cancelled();
                // The guest of an abandoned call may go on for a moment: it must not write to what another call has.
                if !abandoned {
                    self.process.memories.give_back(memory);
                }
                let result = result.map_err(|failure| self.failure(failure));
                (Ran { result, begun: true }, folder || abandoned)
            }
            // Its process is gone, or about to be: nobody uses its memory again.
            Err(failure) => (Ran { result: Err(failure), begun: page.has_begun() }, true),
        }
    }

    /// Follows the call to its end.
    async fn follow(
        &self,
        reports: &Reports,
        objects: &mut Objects,
        memory: MemoryId,
        frames: &mut Frames,
        abandoned: &CancellationToken,
    ) -> Result<Ended, RunFailure> {
        let stop = reports.stop_token().clone();
        let limits = &self.setup.grant.limits;
        let latest = Instant::now() + limits.deadline().saturating_add(KILL_GRACE);
        let (mut asked_to_stop, mut dropped, mut killed) = (false, false, false);
        let (mut silent, mut late) = (false, false);
        let kill_at = tokio::time::sleep_until(latest);
        let silent_at = tokio::time::sleep(SILENCE);
        tokio::pin!(kill_at, silent_at);
        loop {
            tokio::select! {
                // The frames come last: a process that never stops talking must not outlive its deadline by that.
                biased;
                // Not even the thread that does nothing else has run.
                () = &mut silent_at, if !killed => match silent {
                    false => {
                        silent = true;
                        silent_at.as_mut().reset(Instant::now() + READING);
                    }
                    true => {
                        killed = true;
                        self.process.kill(format!("it has said nothing for {SILENCE:?}"));
                    }
                },
                // The frames end with the process: the call's own end may be among the last.
                () = &mut kill_at, if !killed => match !late && kill_at.deadline().elapsed() > LATE {
                    true => {
                        late = true;
                        kill_at.as_mut().reset(Instant::now() + KILL_GRACE);
                    }
                    false => {
                        killed = true;
                        self.process.kill("a task of it did not end when it had to");
                    }
                },
                () = stop.cancelled(), if !asked_to_stop => {
                    asked_to_stop = true;
                    if let Some(reason) = reports.stop_reason() {
                        self.tell(&ToGuest::Stop { call: self.id, reason }).await;
                    }
                    let latest = kill_at.deadline().min(Instant::now() + STOP_GRACE + KILL_GRACE);
                    kill_at.as_mut().reset(latest);
                }
                () = abandoned.cancelled(), if !dropped => {
                    dropped = true;
                    self.tell(&ToGuest::Abandon { call: self.id, memory }).await;
                    let latest = kill_at.deadline().min(Instant::now() + KILL_GRACE);
                    kill_at.as_mut().reset(latest);
                }
                frame = frames.recv() => {
                    let Some(Frame { said, room: _room }) = frame else { return Err(self.crashed(&self.process.over().await)) };
                    silent = false;
                    silent_at.as_mut().reset(Instant::now() + SILENCE);
                    match take_frame(said, reports, objects, self.log, limits) {
                        Ok(None) => {}
                        Ok(Some(ended)) => return Ok(ended),
                        Err(what) => {
                            self.process.kill(format!("it broke the protocol of the sandbox: {what}"));
                            return Err(self.crashed(&self.process.over().await));
                        }
                    }
                }
            }
        }
    }

    async fn tell(&self, frame: &ToGuest) {
        // A process that is gone is noticed by its end.
        let _ = self.process.send(frame, &[] as &[BorrowedFd<'_>]).await;
    }

    /// A failure as the process tells it, bounded once more, and with nobody blamed whom the node knows to be innocent.
    fn failure(&self, failure: Failure) -> RunFailure {
        let Failure { kind, blame, reason, details } = failure;
        let details = Some(details.as_str()).filter(|text| text.len() <= MAX_DETAILS);
        let details = details.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(
            || json!({ "runner": self.setup.label, "dropped": "the details were too large" }),
        );
        if kind == FailureKind::Stuck {
            // One thread of it is lost; with the process it goes.
            self.process.kill("a task of it could not be ended");
        }
        let failure = RunFailure { kind, blame, reason: one_line(reason, MAX_REASON), details };
        // What the servers said is known here.
        let failure = if failure.blame == Blame::Server { failure.blamed_on(kind.blame()) } else { failure };
        self.trouble.blame(failure)
    }

    fn crashed(&self, end: &ProcessEnd) -> RunFailure {
        let (tail, dropped) = self.log.tail();
        let what = end.what();
        let reason = one_line(format!("the runner's process ended under it: {what}"), MAX_REASON);
        let mut failure = RunFailure::new(FailureKind::Crashed, reason);
        failure.details = json!({
            "runner": self.setup.label,
            "process": what,
            "signal": end.status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)),
            "last_output": tail,
            "dropped_output_lines": dropped,
        });
        if end.by_the_kernel() { failure.blamed_on(Blame::Host) } else { failure }
    }
}
