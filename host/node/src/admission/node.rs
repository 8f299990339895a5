//! The node's own admission: its folder, its machine, its promises.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use posemesh_domain_client::Servers;
use posemesh_runner_api::runner::{RunnerNeeds, Runners};
use posemesh_text::one_line;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::board::{Cause, Trouble, TroubleBoard};
use super::budget::LiveBudget;
use super::machine::{self, FreeSpace, SPARE_BYTES, SPARE_INODES};
use super::promises::{Promise, Promises};
use super::servers::ServerPacing;
use super::{Admit, Refusal};
use crate::threads::cure;
use crate::workdir::WorkDirs;

/// How long an answer of the machine is good: many small tasks need not look each time.
const FRESH: Duration = Duration::from_secs(1);
/// How often it is looked at while no lease is asked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long the machine has to answer. A file system that hangs is trouble as well.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Descriptors that one task may need beside its runner's files: connections, pipes, the task's directory.
pub(crate) const TASK_DESCRIPTORS: u64 = 32;
/// Threads that one task needs, those of its process included.
pub(crate) const TASK_THREADS: u64 = 8;
/// Addresses that one task needs: what is reserved for the memory of an instance, guarded on both sides, and for stacks.
const TASK_ADDRESSES: u64 = (4 << 30) + (192 << 20);
/// How long after its promise a task may not yet have taken what a look at the machine would show.
const STARTING: Duration = Duration::from_secs(2);
/// The longest cause in a text.
const MAX_CAUSE: usize = 400;
/// The causes that are judged here.
const CAUSES: [Cause; 6] =
    [Cause::WorkDir, Cause::Disk, Cause::Memory, Cause::Descriptors, Cause::Threads, Cause::AddressSpace];

/// What was seen of the machine.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    /// None if it works.
    work_dir: Option<String>,
    space: Option<FreeSpace>,
    memory: u64,
    descriptors: Option<u64>,
    /// At most [`TASK_THREADS`].
    threads: u64,
    address_space: Option<u64>,
}

/// What is asked of the machine beside what already runs.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// What is promised to running tasks and not used yet.
    open: RunnerNeeds,
    /// What the next task may need.
    next: RunnerNeeds,
    /// Tasks that may not have taken yet what each task takes.
    starting: u64,
    /// Tasks whose share is free again before the next one is without.
    ending: u64,
}

/// Looks at the machine before each lease.
pub(crate) struct Admission {
    budget: LiveBudget,
    runners: Arc<dyn Runners>,
    work_dirs: Arc<WorkDirs>,
    promises: Promises,
    board: TroubleBoard,
    servers: Mutex<ServerPacing>,
    seen: Mutex<Option<Look>>,
    /// A look that has not come back yet.
    looking: tokio::sync::Mutex<Option<JoinHandle<Look>>>,
}

impl Admission {
    pub(crate) fn new(
        budget: LiveBudget,
        runners: Arc<dyn Runners>,
        work_dirs: Arc<WorkDirs>,
        board: TroubleBoard,
        servers: Servers,
    ) -> Self {
        Self {
            promises: Promises::new(budget.clone()),
            budget,
            runners,
            work_dirs,
            board,
            servers: Mutex::new(ServerPacing::new(servers)),
            seen: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Bytes of the budget that are promised to tasks.
    pub(crate) fn promised_memory(&self) -> u64 {
        self.promises.open().memory_bytes
    }

    /// What the machine has now, or had a second ago at most; none if it does not answer.
    async fn look(&self) -> Option<Look> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(seen) = seen.filter(|seen| seen.at.elapsed() < FRESH) {
            return Some(seen);
        }
        // One at a time: each that hangs keeps a thread.
        let mut looking = self.looking.lock().await;
        let work_dirs = self.work_dirs.clone();
        let look = looking.get_or_insert_with(|| spawn_blocking(move || look_at(&work_dirs)));
        let look = timeout(LOOK_TIMEOUT, look).await.ok()?;
        *looking = None;
        let look = look.ok()?;
        // What is in trouble is looked at anew each time.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(look.clone()).filter(|look| look.work_dir.is_none());
        Some(look)
    }

    /// Keeps the board true while no lease is asked for: every slot is taken, or there is a pause. Until `stop`.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(LOOK_INTERVAL)).await.is_some() {
            let trouble = self.servers.lock().unwrap_or_else(PoisonError::into_inner).trouble();
            self.board.set(&[Cause::Server], &trouble.into_iter().collect::<Vec<_>>());
            self.show(self.look().await.as_ref());
        }
    }

    /// Shows what is missing for the next task even if no other runs; whether that is nothing.
    fn show(&self, look: Option<&Look>) -> bool {
        let troubles = match look {
            // What would be missing without a running task is trouble; with them, the node is as busy as it may be.
            Some(look) => {
                let (ending, _) = self.promises.split_at(look.at - STARTING);
                let (open, next) = (RunnerNeeds::default(), self.runners.needs());
                self.judge(look, Wanted { open, next, starting: 0, ending })
            }
            None => {
                let folder = one_line(self.work_dirs.path().display(), MAX_CAUSE);
                let text =
                    format!("{folder} did not answer within {LOOK_TIMEOUT:?}; is its file system there?");
                vec![Trouble::new(Cause::WorkDir, text)]
            }
        };
        self.board.set(&CAUSES, &troubles);
        troubles.is_empty()
    }

    /// What is missing for the next task.
    fn judge(&self, look: &Look, wanted: Wanted) -> Vec<Trouble> {
        let Wanted { open, next, starting, ending } = wanted;
        let mut troubles = Vec::new();
        if let Some(error) = &look.work_dir {
            troubles.push(Trouble::new(Cause::WorkDir, error.clone()));
        }
        if let Some(space) = look.space {
            let folder = one_line(self.work_dirs.path().display(), MAX_CAUSE);
            let wanted = open.scratch_bytes.saturating_add(next.scratch_bytes).saturating_add(SPARE_BYTES);
            if space.bytes < wanted {
                troubles.push(Trouble::new(Cause::Disk, format!(
                    "{} are free in {folder}, and {} may be needed: {} by running tasks, {} by the next one (scratch_bytes of \
                     its runner), and {} stay free; free some space, choose another WORK_DIR, or set scratch_bytes in NAME.toml, \
                     [limits]",
                    mib(space.bytes), mib(wanted), mib(open.scratch_bytes), mib(next.scratch_bytes), mib(SPARE_BYTES),
                )));
            }
            let wanted = open.scratch_files.saturating_add(next.scratch_files).saturating_add(SPARE_INODES);
            if let Some(free) = space.inodes.filter(|free| *free < wanted) {
                troubles.push(Trouble::new(
                    Cause::Disk,
                    format!(
                        "{free} inodes are free in {folder}, and {wanted} may be needed by running tasks and the next one \
                         (scratch_files of their runners); remove some files, choose another WORK_DIR, or set scratch_files \
                         in NAME.toml, [limits]",
                    ),
                ));
            }
        }
        let budget = self.budget.now();
        let wanted = budget.of_task(next.memory_bytes);
        let left = budget.bytes().saturating_sub(open.memory_bytes);
        if left < wanted {
            troubles.push(Trouble::new(Cause::Memory, format!(
                "{} of MEMORY_BUDGET ({}) are left, and the next task may need {}; wait for running tasks to end, or set \
                 memory_bytes in NAME.toml, [limits], or a larger MEMORY_BUDGET",
                mib(left), mib(budget.bytes()), mib(wanted),
            )));
        } else if look.memory < wanted {
            troubles.push(Trouble::new(Cause::Memory, format!(
                "{} of memory are available on this machine, and the next task may need {}; end other programs, or set \
                 memory_bytes in NAME.toml, [limits]",
                mib(look.memory), mib(wanted),
            )));
        }
        if let Some(free) = look.descriptors.filter(|free| *free < TASK_DESCRIPTORS) {
            troubles.push(Trouble::new(Cause::Descriptors, format!(
                "{free} more files can be opened, and a task may need {TASK_DESCRIPTORS}; raise the limit on open files \
                 (`ulimit -n`, LimitNOFILE=) or lower MAX_CONCURRENCY",
            )));
        }
        if look.threads < TASK_THREADS {
            troubles.push(Trouble::new(
                Cause::Threads,
                format!(
                    "{} more threads can be started, and a task needs {TASK_THREADS}; {}",
                    look.threads,
                    cure()
                ),
            ));
        }
        let needed = TASK_ADDRESSES.saturating_mul(1 + starting);
        let free = |now: u64| now.saturating_add(TASK_ADDRESSES.saturating_mul(ending));
        if let Some(free) = look.address_space.map(free).filter(|free| *free < needed) {
            troubles.push(Trouble::new(Cause::AddressSpace, format!(
                "{} of address space are left to this process, and the next task may need {}; raise the limit (`ulimit -v`, \
                 LimitAS=) or lower MAX_CONCURRENCY",
                mib(free), mib(needed),
            )));
        }
        troubles
    }
}

#[async_trait]
impl Admit for Admission {
    async fn admit(&self) -> Result<Promise, Refusal> {
        let (trouble, may_take) = self.servers.lock().unwrap_or_else(PoisonError::into_inner).look();
        self.board.set(&[Cause::Server], &trouble.into_iter().collect::<Vec<_>>());
        if !may_take {
            return Err(Refusal::Trouble);
        }
        let next = self.runners.needs();
        let look = self.look().await;
        let Some(look) = look.as_ref().filter(|look| self.show(Some(look))) else {
            if look.is_none() {
                self.show(None);
            }
            return Err(Refusal::Trouble);
        };
        let (_, starting) = self.promises.split_at(look.at - STARTING);
        let wanted = Wanted { open: self.promises.open(), next, starting, ending: 0 };
        match self.judge(look, wanted).first() {
            None => Ok(self.promises.add(next)),
            Some(busy) => Err(Refusal::Busy(busy.text.clone())),
        }
    }
}

fn look_at(work_dirs: &WorkDirs) -> Look {
    let work_dir = work_dirs.check().err().map(|error| one_line(error, MAX_CAUSE));
    Look {
        at: Instant::now(),
        work_dir,
        space: machine::free_space(work_dirs.path()).ok(),
        memory: machine::available_memory(),
        descriptors: machine::free_descriptors(),
        threads: machine::free_threads(TASK_THREADS),
        address_space: machine::free_address_space(),
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
