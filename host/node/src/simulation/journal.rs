//! The journal of a node, in a folder that outlives its processes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;
use uuid::Uuid;

use crate::journal::{LeaseJournal, OrphanedLease};

/// The journal of a node, in a folder that outlives its processes.
#[derive(Debug, Default)]
pub(super) struct SimulatedJournal(Mutex<BTreeSet<Uuid>>);

impl SimulatedJournal {
    /// The leases that the last process held when it went.
    pub(super) fn orphans(&self) -> Vec<OrphanedLease> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|task_id| OrphanedLease { task_id: *task_id }).collect()
    }
}

impl SimulatedJournal {
    /// Whether the lease of this task is written down.
    pub(super) fn holds(&self, task_id: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&task_id)
    }
}

impl LeaseJournal for SimulatedJournal {
    fn begin(&self, task_id: Uuid) -> BoxFuture<'static, ()> {
        let held = {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.insert(task_id);
            held.len() as u64
        };
        Box::pin(async move {
            // A disk that has other things to do.
            if held.is_multiple_of(3) {
                sleep(Duration::from_millis(100 * held)).await;
            }
        })
    }

    fn end(&self, task_id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&task_id);
    }
}
