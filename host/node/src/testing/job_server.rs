//! A job server that answers as scripted.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use posemesh_runner_api::json_text::JsonText;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::dms::{FinalReport, HeartbeatAnswer, JobServer, JobServerError, LeaseAnswer};
use crate::testing::leases::extended;

/// A call that the server received.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ServerCall {
    Lease,
    Heartbeat { task_id: Uuid, progress: Value, events: Vec<Value> },
    Complete { task_id: Uuid, body: Value },
    Fail { task_id: Uuid, reason: String, details: Value },
}

impl ServerCall {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Complete { .. } => "complete",
            Self::Fail { .. } => "fail",
        }
    }
}

type Steps<T> = VecDeque<(Duration, Result<T, JobServerError>)>;

#[derive(Default)]
struct ServerScript {
    leases: Steps<LeaseAnswer>,
    heartbeats: Steps<HeartbeatAnswer>,
    completes: Steps<()>,
    fails: Steps<()>,
    calls: Vec<(Instant, ServerCall)>,
    /// The answer to heartbeats when the script has run out; an extension of the lease if none.
    then: Option<JobServerError>,
}

/// Answers as scripted; when the script has run out, with no work, extended leases and acceptance.
#[derive(Default)]
pub(crate) struct ScriptedJobServer {
    script: Mutex<ServerScript>,
    called: Notify,
}

impl ScriptedJobServer {
    pub(crate) fn on_lease(&self, after: Duration, answer: Result<LeaseAnswer, JobServerError>) {
        self.script.lock().unwrap().leases.push_back((after, answer));
    }

    pub(crate) fn on_heartbeat(&self, answer: Result<HeartbeatAnswer, JobServerError>) {
        self.on_slow_heartbeat(Duration::ZERO, answer);
    }

    pub(crate) fn on_slow_heartbeat(&self, after: Duration, answer: Result<HeartbeatAnswer, JobServerError>) {
        self.script.lock().unwrap().heartbeats.push_back((after, answer));
    }

    pub(crate) fn then_heartbeats(&self, then: Option<JobServerError>) {
        self.script.lock().unwrap().then = then;
    }

    pub(crate) fn on_complete(&self, answer: Result<(), JobServerError>) {
        self.on_slow_complete(Duration::ZERO, answer);
    }

    pub(crate) fn on_slow_complete(&self, after: Duration, answer: Result<(), JobServerError>) {
        self.script.lock().unwrap().completes.push_back((after, answer));
    }

    pub(crate) fn on_fail(&self, answer: Result<(), JobServerError>) {
        self.on_slow_fail(Duration::ZERO, answer);
    }

    pub(crate) fn on_slow_fail(&self, after: Duration, answer: Result<(), JobServerError>) {
        self.script.lock().unwrap().fails.push_back((after, answer));
    }

    pub(crate) fn calls(&self) -> Vec<(Instant, ServerCall)> {
        self.script.lock().unwrap().calls.clone()
    }

    /// The calls in one line: `heartbeat complete`.
    pub(crate) fn words(&self) -> String {
        self.calls().iter().map(|(_, call)| call.word()).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn count(&self, word: &str) -> usize {
        self.calls().iter().filter(|(_, call)| call.word() == word).count()
    }

    /// When calls of this kind came.
    pub(crate) fn times(&self, word: &str) -> Vec<Instant> {
        self.calls().into_iter().filter(|(_, call)| call.word() == word).map(|(at, _)| at).collect()
    }

    /// The reason and details of the one `fail`.
    pub(crate) fn failure(&self) -> (String, Value) {
        let mut fails: Vec<_> = self
            .calls()
            .into_iter()
            .filter_map(|(_, call)| match call {
                ServerCall::Fail { reason, details, .. } => Some((reason, details)),
                _ => None,
            })
            .collect();
        assert_eq!(fails.len(), 1, "there is exactly one fail in {}", self.words());
        fails.pop().unwrap()
    }

    /// Every event that a heartbeat carried.
    pub(crate) fn events(&self) -> Vec<Value> {
        let calls = self.calls().into_iter();
        calls
            .filter_map(|(_, call)| match call {
                ServerCall::Heartbeat { events, .. } => Some(events),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Waits until there were `count` calls of this kind.
    pub(crate) async fn saw(&self, word: &str, count: usize) {
        loop {
            let called = self.called.notified();
            if self.count(word) >= count {
                return;
            }
            called.await;
        }
    }

    async fn answer<T>(
        &self,
        call: ServerCall,
        steps: impl Fn(&mut ServerScript) -> &mut Steps<T>,
        default: impl Fn(&ServerScript) -> Result<T, JobServerError>,
    ) -> Result<T, JobServerError> {
        let (after, answer) = {
            let mut script = self.script.lock().unwrap();
            script.calls.push((Instant::now(), call));
            match steps(&mut script).pop_front() {
                Some(step) => step,
                None => (Duration::ZERO, default(&script)),
            }
        };
        self.called.notify_waiters();
        if !after.is_zero() {
            sleep(after).await;
        }
        answer
    }
}

#[async_trait]
impl JobServer for ScriptedJobServer {
    async fn request_lease(&self) -> Result<LeaseAnswer, JobServerError> {
        self.answer(ServerCall::Lease, |script| &mut script.leases, |_| Ok(LeaseAnswer::NoWork)).await
    }

    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &JsonText,
        events: &[JsonText],
    ) -> Result<HeartbeatAnswer, JobServerError> {
        let call = ServerCall::Heartbeat {
            task_id,
            progress: value(progress),
            events: events.iter().map(value).collect(),
        };
        let default = |script: &ServerScript| script.then.clone().map_or_else(|| Ok(extended()), Err);
        self.answer(call, |script| &mut script.heartbeats, default).await
    }

    async fn finish(&self, task_id: Uuid, report: &FinalReport) -> Result<(), JobServerError> {
        match report.clone() {
            FinalReport::Complete(body) => {
                let call = ServerCall::Complete { task_id, body };
                self.answer(call, |script| &mut script.completes, |_| Ok(())).await
            }
            FinalReport::Fail { reason, details } => {
                let call = ServerCall::Fail { task_id, reason, details };
                self.answer(call, |script| &mut script.fails, |_| Ok(())).await
            }
        }
    }
}

/// What a report says, for comparing.
fn value(text: &JsonText) -> Value {
    serde_json::from_str(text.as_str()).unwrap()
}
