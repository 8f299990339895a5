//! What went wrong during a run that is not the runner's fault.
//!
//! A runner whose disk is full fails in its own words: it can't write a file, or traps as it tries. What the host has
//! seen meanwhile says whose fault that is.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use posemesh_runner_api::ports::{PortError, PortErrorKind};
use posemesh_text::one_line;
use rustix::io::Errno;

/// How much of an error is kept, in bytes.
const MAX_TEXT: usize = 400;

/// What one run has met. Clones share.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunTrouble(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// The first of each, in words.
    host: Option<String>,
    server: Option<String>,
    /// The last error of a port that the runner got, as it got it.
    last_of_port: Option<String>,
    /// The kinds of errors that a runner got by the fault of a server or of its task, and may pass on.
    passed_on: Vec<(PortErrorKind, Blame)>,
}

impl RunTrouble {
    /// Notes an answer of the system if it means that this machine has run out of something or is broken.
    pub(crate) fn saw(&self, doing: &str, error: &io::Error) {
        if let Some(cause) = host_cause(error) {
            self.saw_host(format!("{cause} ({doing}: {error})"));
        }
    }

    /// Notes an error of the engine if the system's answer is among its causes.
    pub(crate) fn saw_engine(&self, doing: &str, error: &wasmtime::Error) {
        if let Some(cause) = engine_cause(error) {
            // The causes can have a guest's names in them.
            let error = one_line(format_args!("{error:#}"), MAX_TEXT);
            self.saw_host(format!("{cause} ({doing}: {error})"));
        }
    }

    /// Notes a trouble of this machine, in words.
    pub(crate) fn saw_host(&self, what: impl Into<String>) {
        let mut seen = self.seen();
        if seen.host.is_none() {
            seen.host = Some(one_line(what.into(), MAX_TEXT));
        }
    }

    /// Notes an error of a port that the runner gets, if it is neither the runner's nor the task's fault.
    pub(crate) fn saw_port(&self, error: &PortError) {
        let met = (error.kind, error.blame);
        let mut seen = self.seen();
        if !seen.passed_on.contains(&met) {
            seen.passed_on.push(met);
        }
        seen.last_of_port = Some(one_line(&error.text, MAX_TEXT));
        drop(seen);
        match error.blame {
            Blame::Host => self.saw_host(error.text.clone()),
            Blame::Server if error.kind != PortErrorKind::Cancelled => {
                let mut seen = self.seen();
                if seen.server.is_none() {
                    seen.server = Some(one_line(&error.text, MAX_TEXT));
                }
            }
            Blame::Server | Blame::Task | Blame::Runner => {}
        }
    }

    /// Whether a port told the runner that its task is being stopped: the word may come before the request to stop.
    pub(crate) fn saw_cancellation(&self) -> bool {
        self.seen().passed_on.iter().any(|(kind, _)| *kind == PortErrorKind::Cancelled)
    }

    /// Blames a failure on the host or a server that failed before it: the runner's reason stays, and what the host
    /// saw is added. A limit that the runner reached, and a failure that names the task, stay what they are. An error of
    /// a port that the runner passes on is the fault of whoever the port blamed.
    pub(crate) fn blame(&self, failure: RunFailure) -> RunFailure {
        self.with_last_of_port(self.blamed(failure))
    }

    /// Adds to the end of a runner that gave up without a reason the last error that a port gave it: most likely that is
    /// what it did not handle.
    fn with_last_of_port(&self, failure: RunFailure) -> RunFailure {
        if !matches!(failure.kind, FailureKind::Trap | FailureKind::Exit) {
            return failure;
        }
        match &self.seen().last_of_port {
            Some(said) => {
                let reason = with(&failure.reason, "the last error that a port gave to it", said);
                RunFailure { reason, ..failure }
            }
            None => failure,
        }
    }

    fn blamed(&self, failure: RunFailure) -> RunFailure {
        let passed_on = self.passed_on(&failure);
        let mends = match failure.kind {
            // What a runner says, does or passes on after something failed around it.
            FailureKind::RunnerError
            | FailureKind::Trap
            | FailureKind::Exit
            | FailureKind::Host
            | FailureKind::PortInvalid
            | FailureKind::PortDenied
            | FailureKind::InputCorrupt
            | FailureKind::DomainServerUnavailable
            | FailureKind::PortError
            // A runner may mistake what it could not read for a broken input.
            | FailureKind::InvalidInput
            | FailureKind::InputNotFound => true,
            // What a server takes no more of; a limit of the runner's own has its name in the details.
            FailureKind::Limit if passed_on.is_some() => true,
            FailureKind::InvalidTask
            | FailureKind::Limit
            | FailureKind::Deadline
            | FailureKind::Cancelled
            | FailureKind::Stuck
            | FailureKind::Crashed => false,
        };
        if !mends {
            return failure;
        }
        let seen = self.seen();
        if let Some(host) = &seen.host {
            let reason = with(&failure.reason, "on this node", host);
            return RunFailure { reason, ..failure }.blamed_on(Blame::Host);
        }
        match &seen.server {
            // What a task is to blame for by itself stays so, whatever failed before.
            Some(server) if passed_on == Some(Blame::Server) || !is_of_task(&failure, passed_on) => {
                let reason = with(&failure.reason, "a server failed before", server);
                RunFailure { reason, ..failure }.blamed_on(Blame::Server)
            }
            _ if passed_on == Some(Blame::Task) => failure.blamed_on(Blame::Task),
            // An error of a server that the runner never got is its own invention.
            None if failure.blame == Blame::Server => failure.blamed_on(Blame::Runner),
            _ => failure,
        }
    }

    /// Whose fault the error of a port is that the runner passed on; none if it did not, or got no such error.
    fn passed_on(&self, failure: &RunFailure) -> Option<Blame> {
        let kind = port_kind(failure.kind)?;
        if failure.details.get("limit").is_some() {
            return None;
        }
        let of_kind = |blame: Blame| self.seen().passed_on.contains(&(kind, blame)).then_some(blame);
        of_kind(Blame::Server).or_else(|| of_kind(Blame::Task))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of_task(failure: &RunFailure, passed_on: Option<Blame>) -> bool {
    failure.kind == FailureKind::InputNotFound || passed_on == Some(Blame::Task)
}

/// The error of a port that is reported as this kind of failure when a runner passes it on.
fn port_kind(kind: FailureKind) -> Option<PortErrorKind> {
    Some(match kind {
        FailureKind::InputNotFound => PortErrorKind::NotFound,
        FailureKind::PortInvalid => PortErrorKind::Invalid,
        FailureKind::PortDenied => PortErrorKind::Denied,
        FailureKind::Limit => PortErrorKind::Limit,
        FailureKind::InputCorrupt => PortErrorKind::Corrupt,
        FailureKind::DomainServerUnavailable => PortErrorKind::Unavailable,
        FailureKind::PortError => PortErrorKind::Other,
        _ => return None,
    })
}

/// A reason with what was seen, unless the runner has passed that on itself.
fn with(reason: &str, whose: &str, seen: &str) -> String {
    if reason.contains(seen) { reason.to_owned() } else { format!("{reason}; {whose}: {seen}") }
}

/// Which trouble of this machine an answer of the system stands for, if it is one.
pub(crate) fn host_cause(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_io_error(error)? {
        Errno::NOSPC => "the node's disk is full",
        Errno::DQUOT => "the node's disk quota is used up",
        Errno::MFILE | Errno::NFILE => "the node has no file descriptor left",
        Errno::FBIG => "the node may write no larger file (ulimit -f)",
        Errno::IO => "the node's disk fails",
        Errno::ROFS => "the node's disk is read-only",
        Errno::NOMEM => "the node is out of memory",
        Errno::STALE | Errno::NODEV | Errno::NOTCONN => "the node's disk went away",
        _ => return None,
    })
}

/// The same for an error of the engine, which reserves address space, memory and stacks.
pub(crate) fn engine_cause(error: &wasmtime::Error) -> Option<&'static str> {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Some("the node has no room for another instance");
    }
    error.chain().find_map(|cause| {
        let errno = cause.downcast_ref::<Errno>().map(|errno| io::Error::from(*errno));
        host_cause(errno.as_ref().or_else(|| cause.downcast_ref::<io::Error>())?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(error: Errno) -> io::Error {
        error.into()
    }

    #[test]
    fn a_full_disk_is_the_hosts_fault_and_the_runners_words_stay() {
        let trouble = RunTrouble::default();
        trouble.saw("opening a file", &os(Errno::NOENT));
        let failure = RunFailure::new(FailureKind::RunnerError, "could not write");
        assert_eq!(trouble.blame(failure.clone()), failure, "a missing file is nobody else's fault");
        trouble.saw("writing", &os(Errno::NOSPC));
        let blamed = trouble.blame(failure);
        assert_eq!(blamed.blame, Blame::Host);
        assert_eq!(blamed.kind, FailureKind::RunnerError);
        assert!(blamed.reason.starts_with("could not write; "), "{}", blamed.reason);
        assert!(blamed.reason.contains("the node's disk is full"), "{}", blamed.reason);
        let limit = RunFailure::new(FailureKind::Limit, "reached");
        assert_eq!(trouble.blame(limit.clone()), limit, "a limit is the runner's own");
    }

    #[test]
    fn a_trap_is_told_with_the_error_of_a_port_that_was_not_handled() {
        let trouble = RunTrouble::default();
        let trap = RunFailure::new(FailureKind::Trap, "the runner trapped: unreachable");
        assert_eq!(trouble.blame(trap.clone()), trap);
        trouble.saw_port(&PortError::denied("first"));
        trouble.saw_port(&PortError::not_found("there is no input \"a\"").blamed_on(Blame::Task));
        let told = trouble.blame(trap.clone());
        assert_eq!(
            told.reason,
            "the runner trapped: unreachable; the last error that a port gave to it: there is no input \"a\""
        );
        assert_eq!(told.blame, Blame::Runner, "it need not trap");
        let in_its_words = RunFailure { reason: "panicked: there is no input \"a\"".to_owned(), ..trap };
        assert_eq!(trouble.blame(in_its_words.clone()), in_its_words, "said once");
        let returned = RunFailure::new(FailureKind::InvalidTask, "invalid task: no");
        assert_eq!(trouble.blame(returned.clone()), returned, "a runner that gives a reason has given it");
    }

    #[test]
    fn a_refusal_of_a_server_that_the_runner_passes_on_is_no_limit_of_the_runner() {
        let passed_on = RunFailure::new(FailureKind::Limit, "port error: the domain server answered 413");
        let trouble = RunTrouble::default();
        assert_eq!(trouble.blame(passed_on.clone()).blame, Blame::Runner, "it got no such error");
        trouble.saw_port(&PortError::limit("answered 413").blamed_on(Blame::Task));
        assert_eq!(trouble.blame(passed_on.clone()).blame, Blame::Task);
        let details = serde_json::json!({"limit": {"name": "output_bytes"}});
        let own = RunFailure { details, ..RunFailure::new(FailureKind::Limit, "reached output_bytes") };
        assert_eq!(trouble.blame(own).blame, Blame::Runner);
        trouble.saw_port(&PortError::limit("answered 413").blamed_on(Blame::Server));
        assert_eq!(trouble.blame(passed_on).blame, Blame::Server);
    }

    #[test]
    fn a_missing_input_is_the_servers_fault_when_its_port_says_so() {
        let passed_on = RunFailure::new(FailureKind::InputNotFound, "port error: answered 404");
        let trouble = RunTrouble::default();
        trouble.saw_port(&PortError::not_found("answered 404"));
        trouble.saw_port(&PortError::new(PortErrorKind::Unavailable, "answered 503"));
        assert_eq!(trouble.blame(passed_on.clone()).blame, Blame::Task);
        trouble.saw_port(&PortError::not_found("answered 404").blamed_on(Blame::Server));
        assert_eq!(trouble.blame(passed_on).blame, Blame::Server);
    }

    #[test]
    fn a_servers_error_that_the_runner_never_got_is_the_runners_own() {
        let trouble = RunTrouble::default();
        let made_up = RunFailure::new(FailureKind::DomainServerUnavailable, "port error: 503");
        assert_eq!(trouble.blame(made_up.clone()).blame, Blame::Runner);
        trouble.saw_port(&PortError::new(PortErrorKind::Unavailable, "503"));
        assert_eq!(trouble.blame(made_up).blame, Blame::Server);
    }

    #[test]
    fn a_server_that_failed_is_to_blame_for_a_trap_that_follows() {
        let trouble = RunTrouble::default();
        trouble.saw_port(&PortError::not_found("no such input"));
        let trap = RunFailure::new(FailureKind::Trap, "the runner trapped");
        assert_eq!(trouble.blame(trap.clone()).blame, Blame::Runner);
        trouble.saw_port(&PortError::new(PortErrorKind::Unavailable, "the domain server answers 503"));
        let blamed = trouble.blame(trap.clone());
        assert_eq!(blamed.blame, Blame::Server);
        assert!(blamed.reason.contains("answers 503"), "{}", blamed.reason);
        let invalid = RunFailure::new(FailureKind::InvalidTask, "no such mode");
        assert_eq!(trouble.blame(invalid.clone()), invalid);
        trouble.saw_port(&PortError::host("no descriptor left"));
        assert_eq!(trouble.blame(trap).blame, Blame::Host, "the host comes first");
    }

    #[test]
    fn an_instance_that_could_not_be_made_for_want_of_memory_is_the_hosts_fault() {
        for error in [wasmtime::Error::from(os(Errno::NOMEM)), wasmtime::Error::from(Errno::NOMEM)] {
            let error = error.context("mmap failed to reserve 0x1000 bytes").context("instantiating");
            assert_eq!(engine_cause(&error), Some("the node is out of memory"), "{error:#}");
        }
        assert_eq!(engine_cause(&wasmtime::Error::from(wasmtime::Trap::StackOverflow)), None);
        assert_eq!(engine_cause(&wasmtime::Error::msg("memory minimum size exceeds the limit")), None);
    }
}
