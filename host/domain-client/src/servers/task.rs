//! One task at its server: what it reports to the board, and what it waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::failure::Blame;
use uuid::Uuid;

use crate::servers::health::Servers;
use crate::servers::refusal::Refusal;

/// What a task waits for. Whoever ends a task asks: a runner that reached its deadline while its server was away is not
/// to blame for it.
#[derive(Debug, Default)]
pub(crate) struct ServerWaits {
    unanswered: Mutex<Option<Unanswered>>,
}

#[derive(Debug)]
struct Unanswered {
    call: UnansweredCall,
    /// Whether the call was ended from outside. One that still waits is not answered by what another call gets, nor by
    /// the head of an answer whose body stalls.
    is_dropped: bool,
}

/// A call that has failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnansweredCall {
    /// Whose fault the failed tries were: the server's, or this node's.
    pub(crate) blame: Blame,
    /// The last error, in one line.
    pub(crate) text: String,
}

impl ServerWaits {
    /// The call of the task that waits for another try, or waited for one when it was ended from outside; none if a call
    /// has succeeded since.
    pub(crate) fn unanswered(&self) -> Option<UnansweredCall> {
        self.state().as_ref().map(|unanswered| unanswered.call.clone())
    }

    fn state(&self) -> MutexGuard<'_, Option<Unanswered>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of a task that talks to the board.
#[derive(Debug)]
pub(crate) struct TaskAtServer {
    servers: Servers,
    origin: String,
    task: Uuid,
    waits: Arc<ServerWaits>,
    /// Whether a call has succeeded, and whether an error was the server's fault for good.
    succeeded: AtomicBool,
    refused: AtomicBool,
    /// Refusals that may be the task's own and were told already; few, since they are the kinds of requests.
    told: Mutex<Vec<Refusal>>,
}

impl TaskAtServer {
    pub(crate) fn new(servers: Servers, origin: String, task: Uuid) -> Self {
        let (succeeded, refused) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { servers, origin, task, waits: Arc::default(), succeeded, refused, told: Mutex::default() }
    }

    pub(crate) fn waits(&self) -> &Arc<ServerWaits> {
        &self.waits
    }

    /// A call with the task's token succeeded.
    pub(crate) fn succeeded(&self) {
        self.succeeded.store(true, Ordering::Relaxed);
        self.waits.state().take_if(|unanswered| unanswered.is_dropped);
        self.answered();
    }

    /// The server answered, whatever it said.
    pub(crate) fn answered(&self) {
        self.servers.note(|board| board.answered(&self.origin));
    }

    /// A port ends in an error that is the server's fault and does not pass.
    pub(crate) fn refused(&self, text: &str) {
        // Once for each task: a runner may go on and meet the same refusal a hundred times.
        if !self.refused.swap(true, Ordering::Relaxed) {
            self.servers.note(|board| board.refused(&self.origin, self.task, text));
        }
    }

    /// A port ends in a refusal that is the task's own fault as far as the task can see. Returns how many tasks in a row
    /// got the same, if they are so many that it must be the server's.
    pub(crate) fn refused_alike(&self, refusal: Refusal, text: &str) -> Option<u32> {
        // Once for each task: of two that run at the same time, each would count as another one than the last.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !told.contains(&refusal);
        if is_new {
            told.push(refusal);
        }
        self.servers.ask(|board| {
            let changed = is_new && board.refused_alike(&self.origin, self.task, refusal, text);
            (changed, board.refuses_all(&self.origin, refusal))
        })
    }

    /// The server did this well: a request was taken, or data has come.
    pub(crate) fn worked(&self, what: &'static str) {
        self.servers.note(|board| board.worked(&self.origin, what));
    }

    /// A call failed in a way that passes, and is given up.
    pub(crate) fn failed(&self, text: &str) {
        self.servers.note(|board| board.failed(&self.origin, self.task, text));
    }

    /// A call begins to wait for its next try.
    pub(crate) fn wait(self: &Arc<Self>) -> ServerWait {
        ServerWait { task: Arc::clone(self), is_counted: false }
    }
}

impl Drop for TaskAtServer {
    fn drop(&mut self) {
        if *self.succeeded.get_mut() && !*self.refused.get_mut() {
            self.servers.note(|board| board.served(&self.origin));
        }
    }
}

/// A call that waits for its next try. Dropped before [`ServerWait::over`], it was ended from outside.
#[derive(Debug)]
pub(crate) struct ServerWait {
    task: Arc<TaskAtServer>,
    /// Whether the board knows that a call waits.
    is_counted: bool,
}

impl ServerWait {
    /// Another try has failed, and another will be made.
    pub(crate) fn failed(&mut self, blame: Blame, text: String) {
        // A shortage of this node says nothing about the server.
        if blame == Blame::Server {
            if !std::mem::replace(&mut self.is_counted, true) {
                self.task.servers.note(|board| board.waiting(&self.task.origin, 1));
            }
            self.task.failed(&text);
        }
        // At once, not when the wait is dropped: that may be after the end of the task is judged.
        let call = UnansweredCall { blame, text };
        *self.task.waits.state() = Some(Unanswered { call, is_dropped: false });
    }

    /// The call has come to its end by itself, well or not.
    pub(crate) fn over(self) {
        *self.task.waits.state() = None;
    }
}

impl Drop for ServerWait {
    fn drop(&mut self) {
        if let Some(unanswered) = self.task.waits.state().as_mut() {
            unanswered.is_dropped = true;
        }
        if self.is_counted {
            self.task.servers.note(|board| board.waiting(&self.task.origin, -1));
        }
    }
}
