//! A journal that is a list, and an admission that admits everything unless told otherwise.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::admission::{Admit, Promise, Refusal};
use crate::journal::LeaseJournal;

/// A journal in memory.
#[derive(Debug, Default)]
pub(crate) struct FakeJournal {
    held: Mutex<BTreeSet<Uuid>>,
    hangs: AtomicBool,
}

impl FakeJournal {
    /// The tasks whose leases are held.
    pub(crate) fn held(&self) -> Vec<Uuid> {
        self.held.lock().unwrap().iter().copied().collect()
    }

    /// From now on nothing gets to the disk.
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }
}

impl LeaseJournal for FakeJournal {
    fn begin(&self, task_id: Uuid) -> BoxFuture<'static, ()> {
        self.held.lock().unwrap().insert(task_id);
        match self.hangs.load(Ordering::Relaxed) {
            true => Box::pin(std::future::pending()),
            false => Box::pin(std::future::ready(())),
        }
    }

    fn end(&self, task_id: Uuid) {
        self.held.lock().unwrap().remove(&task_id);
    }
}

/// Admits, unless something is said to be missing.
#[derive(Debug, Default)]
pub(crate) struct FakeAdmission(Mutex<Option<Refusal>>);

impl FakeAdmission {
    /// From now on, this is the answer.
    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        *self.0.lock().unwrap() = refusal;
    }
}

#[async_trait]
impl Admit for FakeAdmission {
    async fn admit(&self) -> Result<Promise, Refusal> {
        self.0.lock().unwrap().clone().map_or_else(|| Ok(Promise::default()), Err)
    }
}
