//! What is remembered of leases beyond the life of the process (protocol 5.3).

use futures_util::future::BoxFuture;
use uuid::Uuid;

/// Remembers which leases a process holds, so that the next one can give them back if it dies. Calls neither block nor
/// fail: what can't be remembered costs no more than the lease's TTL.
pub(crate) trait LeaseJournal: Send + Sync {
    /// A lease on this task is held, from this call on. The returned future waits, for a bounded time, until that is written;
    /// if it is dropped, it is written all the same.
    fn begin(&self, task_id: Uuid) -> BoxFuture<'static, ()>;

    /// The lease on this task has ended.
    fn end(&self, task_id: Uuid);
}

/// A lease that a dead process held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrphanedLease {
    /// Its task.
    pub(crate) task_id: Uuid,
}
