//! A job server that answers as told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::extended;
use crate::lease::server::{HeartbeatAnswer, LeaseAnswer, LeaseServer, ServerError};

/// A call that the server got.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Lease,
    Heartbeat { task_id: Uuid, progress: Value, events: Vec<Value> },
    Complete { task_id: Uuid, body: Value },
    Fail { task_id: Uuid, reason: String, details: Value },
}

impl Call {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Complete { .. } => "complete",
            Self::Fail { .. } => "fail",
        }
    }
}

type Steps<T> = VecDeque<(Duration, Result<T, ServerError>)>;

#[derive(Default)]
struct Script {
    leases: Steps<LeaseAnswer>,
    heartbeats: Steps<HeartbeatAnswer>,
    completes: Steps<()>,
    fails: Steps<()>,
    calls: Vec<(Instant, Call)>,
    /// What heartbeats get when the script has run out; the usual extension if none.
    then: Option<ServerError>,
}

/// Answers as told, then with no work, extended leases and acceptance.
#[derive(Default)]
pub struct ScriptedServer {
    script: Mutex<Script>,
    called: Notify,
}

impl ScriptedServer {
    pub fn on_lease(&self, after: Duration, answer: Result<LeaseAnswer, ServerError>) {
        self.script.lock().unwrap().leases.push_back((after, answer));
    }

    pub fn on_heartbeat(&self, answer: Result<HeartbeatAnswer, ServerError>) {
        self.on_slow_heartbeat(Duration::ZERO, answer);
    }

    pub fn on_slow_heartbeat(&self, after: Duration, answer: Result<HeartbeatAnswer, ServerError>) {
        self.script.lock().unwrap().heartbeats.push_back((after, answer));
    }

    pub fn then_heartbeats(&self, then: Option<ServerError>) {
        self.script.lock().unwrap().then = then;
    }

    pub fn on_complete(&self, answer: Result<(), ServerError>) {
        self.on_slow_complete(Duration::ZERO, answer);
    }

    pub fn on_slow_complete(&self, after: Duration, answer: Result<(), ServerError>) {
        self.script.lock().unwrap().completes.push_back((after, answer));
    }

    pub fn on_fail(&self, answer: Result<(), ServerError>) {
        self.script.lock().unwrap().fails.push_back((Duration::ZERO, answer));
    }

    pub fn calls(&self) -> Vec<(Instant, Call)> {
        self.script.lock().unwrap().calls.clone()
    }

    /// The calls in one line: `heartbeat complete`.
    pub fn words(&self) -> String {
        self.calls().iter().map(|(_, call)| call.word()).collect::<Vec<_>>().join(" ")
    }

    pub fn count(&self, word: &str) -> usize {
        self.calls().iter().filter(|(_, call)| call.word() == word).count()
    }

    /// When calls of this kind came.
    pub fn times(&self, word: &str) -> Vec<Instant> {
        self.calls().into_iter().filter(|(_, call)| call.word() == word).map(|(at, _)| at).collect()
    }

    /// The reason and details of the one `fail`.
    pub fn failure(&self) -> (String, Value) {
        let mut fails: Vec<_> = self
            .calls()
            .into_iter()
            .filter_map(|(_, call)| match call {
                Call::Fail { reason, details, .. } => Some((reason, details)),
                _ => None,
            })
            .collect();
        assert_eq!(fails.len(), 1, "there is exactly one fail in {}", self.words());
        fails.pop().unwrap()
    }

    /// Every event that a heartbeat carried.
    pub fn events(&self) -> Vec<Value> {
        let calls = self.calls().into_iter();
        calls
            .filter_map(|(_, call)| match call {
                Call::Heartbeat { events, .. } => Some(events),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Waits until there were `count` calls of this kind.
    pub async fn saw(&self, word: &str, count: usize) {
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
        call: Call,
        steps: impl Fn(&mut Script) -> &mut Steps<T>,
        usual: impl Fn(&Script) -> Result<T, ServerError>,
    ) -> Result<T, ServerError> {
        let (after, answer) = {
            let mut script = self.script.lock().unwrap();
            script.calls.push((Instant::now(), call));
            match steps(&mut script).pop_front() {
                Some(step) => step,
                None => (Duration::ZERO, usual(&script)),
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
impl LeaseServer for ScriptedServer {
    async fn lease(&self) -> Result<LeaseAnswer, ServerError> {
        self.answer(Call::Lease, |script| &mut script.leases, |_| Ok(LeaseAnswer::NoWork)).await
    }

    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &Value,
        events: &[Value],
    ) -> Result<HeartbeatAnswer, ServerError> {
        let call = Call::Heartbeat { task_id, progress: progress.clone(), events: events.to_vec() };
        let usual = |script: &Script| script.then.clone().map_or_else(|| Ok(extended()), Err);
        self.answer(call, |script| &mut script.heartbeats, usual).await
    }

    async fn complete(&self, task_id: Uuid, body: &Value) -> Result<(), ServerError> {
        let call = Call::Complete { task_id, body: body.clone() };
        self.answer(call, |script| &mut script.completes, |_| Ok(())).await
    }

    async fn fail(&self, task_id: Uuid, reason: &str, details: &Value) -> Result<(), ServerError> {
        let call = Call::Fail { task_id, reason: reason.to_owned(), details: details.clone() };
        self.answer(call, |script| &mut script.fails, |_| Ok(())).await
    }
}
