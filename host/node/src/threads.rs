//! How many threads this process may still start.
//!
//! Several limits count: of the user (`RLIMIT_NPROC`, over all processes, and only for users without privileges), of the
//! control groups, of the whole machine, and of the address space that a stack takes. What is left of them all is known by
//! trying only.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};

use rustix::process::{Resource, getrlimit};

/// How many threads the node has beside those of its runtime at least: the log, the journal, the ticker of the runners'
/// engine, the watch on `PLUGINS_DIR`, and some for calls that block.
const OWN: usize = 8;
/// Processors for each thread of the runtime. Those threads wait, hand over and move bytes: what computes for long (guests,
/// compilers, digests of large data) has threads or processes of its own. Two where one is enough spend their time waking each other.
const PROCESSORS_PER_WORKER: usize = 2;
/// Threads of the runtime at least.
const LEAST_WORKERS: usize = 1;

/// Whether a process can start so many threads now: starts them, all at the same time, and ends them. Returns how many
/// could be started, at most `wanted`.
pub(crate) fn startable(wanted: usize) -> usize {
    // Each waits for this, so that all of them are there at once.
    let gate = Mutex::new(());
    scope(|scope| {
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let wait = || drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
            Builder::new().name("probe".to_owned()).spawn_scoped(scope, wait)
        };
        let started = (0..wanted).map_while(|_| start().ok()).count();
        drop(closed);
        started
    })
}

/// The process may not start the threads that a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process can start {startable} more threads, and a node needs {needed}; {}", cure())]
pub struct TooFewThreads {
    startable: usize,
    needed: usize,
}

/// How many threads the runtime should have on so many processors: fewer if the process may not start many.
///
/// # Errors
/// When there are too few for a node to start. Whoever goes on meets a panic of some library, or waits for ever.
pub fn runtime_threads(processors: usize) -> Result<usize, TooFewThreads> {
    let startable = startable((processors / PROCESSORS_PER_WORKER).max(LEAST_WORKERS) + OWN);
    let needed = LEAST_WORKERS + OWN;
    match startable.checked_sub(OWN) {
        Some(workers) if workers >= LEAST_WORKERS => Ok(workers),
        _ => Err(TooFewThreads { startable, needed }),
    }
}

/// What helps when no more threads can be started, with the limit that this process knows of.
pub(crate) fn cure() -> impl fmt::Display {
    let of_user = getrlimit(Resource::Nproc).current;
    let of_user = of_user.map(|most| format!(", now {most}")).unwrap_or_default();
    format!(
        "raise the limit of this user (`ulimit -u`{of_user}; LimitNPROC=) or of the service or container (TasksMax=, \
         pids.max), or end other processes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_tried_and_end_again() {
        assert_eq!(startable(0), 0);
        for _ in 0..20 {
            assert_eq!(startable(8), 8);
        }
    }

    #[test]
    fn the_error_says_how_many_are_needed_and_what_helps() {
        for (processors, threads) in [(1, 1), (2, 1), (4, 2)] {
            assert!(runtime_threads(processors).is_ok_and(|workers| workers == threads));
        }
        let error = TooFewThreads { startable: 3, needed: 9 }.to_string();
        assert!(error.contains("can start 3 more threads, and a node needs 9"), "{error}");
        assert!(error.contains("ulimit -u") && error.contains("pids.max"), "{error}");
    }
}
