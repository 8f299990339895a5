//! What running tasks may still use, added up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::runner::RunnerNeeds;
use tokio::time::Instant;

use super::budget::LiveBudget;

/// The account of all promises. Cloning shares.
#[derive(Debug, Clone)]
pub(super) struct Promises {
    budget: LiveBudget,
    entries: Arc<Mutex<Vec<Option<Entry>>>>,
}

#[derive(Debug, Clone)]
struct Entry {
    needs: RunnerNeeds,
    /// When it was promised.
    since: Instant,
    /// Once the task has a directory: what it used there is not promised any more.
    disk: Option<TaskDisk>,
}

impl Promises {
    /// An empty account.
    pub(super) fn new(budget: LiveBudget) -> Self {
        Self { budget, entries: Arc::default() }
    }

    /// Sets aside what a task takes whose runner needs this, until the promise is dropped.
    pub(super) fn add(&self, needs: RunnerNeeds) -> Promise {
        let mut entries = self.entries();
        let entry = Some(Entry { needs: self.of_task(needs), since: Instant::now(), disk: None });
        let at = match entries.iter().position(Option::is_none) {
            Some(free) => free,
            None => entries.len(),
        };
        match entries.get_mut(at) {
            Some(place) => *place = entry,
            None => entries.push(entry),
        }
        Promise { account: Some((self.clone(), at)) }
    }

    /// A task takes more than its runner.
    fn of_task(&self, runner: RunnerNeeds) -> RunnerNeeds {
        RunnerNeeds { memory_bytes: self.budget.now().of_task(runner.memory_bytes), ..runner }
    }

    /// What is promised and not used yet.
    pub(super) fn open(&self) -> RunnerNeeds {
        self.entries().iter().flatten().fold(RunnerNeeds::default(), |sum, entry| {
            let used = entry.disk.as_ref().map(TaskDisk::used).unwrap_or_default();
            RunnerNeeds {
                memory_bytes: sum.memory_bytes.saturating_add(entry.needs.memory_bytes),
                scratch_bytes: sum
                    .scratch_bytes
                    .saturating_add(entry.needs.scratch_bytes.saturating_sub(used)),
                scratch_files: sum.scratch_files.saturating_add(entry.needs.scratch_files),
            }
        })
    }

    /// How many tasks were promised something before this moment, and how many since.
    pub(super) fn split_at(&self, moment: Instant) -> (u64, u64) {
        let entries = self.entries();
        let later = entries.iter().flatten().filter(|entry| entry.since >= moment).count();
        ((entries.iter().flatten().count() - later) as u64, later as u64)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Option<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is set aside for one task. Dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    /// None for a promise of nothing.
    account: Option<(Promises, usize)>,
}

impl Promise {
    /// The task's runner is known, and needs this and no more.
    pub(crate) fn settle(&self, needs: RunnerNeeds) {
        if let Some((account, _)) = &self.account {
            let needs = account.of_task(needs);
            self.change(|entry| entry.needs = needs);
        }
    }

    /// The task has this directory.
    pub(crate) fn uses(&self, disk: &TaskDisk) {
        self.change(|entry| entry.disk = Some(disk.clone()));
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some((account, at)) = &self.account
            && let Some(Some(entry)) = account.entries().get_mut(*at)
        {
            change(entry);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some((account, at)) = &self.account
            && let Some(place) = account.entries().get_mut(*at)
        {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::MemoryBudget;

    const MIB: u64 = 1 << 20;

    fn needs(memory: u64, scratch_bytes: u64) -> RunnerNeeds {
        RunnerNeeds { memory_bytes: memory * MIB, scratch_bytes, scratch_files: 1 }
    }

    /// The sum of tasks, each with the 48 MiB that the node holds for it.
    fn sum(memory: u64, scratch_bytes: u64, tasks: u64) -> RunnerNeeds {
        RunnerNeeds { memory_bytes: (memory + 48 * tasks) * MIB, scratch_bytes, scratch_files: tasks }
    }

    #[test]
    fn what_is_used_and_what_has_ended_is_promised_no_more() {
        let promises = Promises::new(LiveBudget::new(MemoryBudget::of(1000 * MIB)));
        let first = promises.add(needs(100, 1000));
        let second = promises.add(needs(10, 10));
        assert_eq!(promises.open(), sum(110, 1010, 2));
        first.settle(needs(50, 500));
        let disk = TaskDisk::new("/nowhere");
        first.uses(&disk);
        disk.set_written(200);
        assert_eq!(promises.open(), sum(60, 310, 2));
        drop(first);
        let third = promises.add(needs(1, 1));
        assert_eq!(promises.open(), sum(11, 11, 2));
        let moment = Instant::now();
        let fourth = promises.add(needs(1, 1));
        assert_eq!(promises.split_at(moment), (2, 1));
        drop((second, third, fourth));
        assert_eq!(promises.open(), RunnerNeeds::default());
        assert_eq!(promises.split_at(moment), (0, 0));
    }
}
