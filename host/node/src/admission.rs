//! Whether the node may take a lease: what the next task may use must be there before it is asked for.
//!
//! ```text
//! before each request for work:  WORK_DIR works?  memory?  disk and inodes?  descriptors?  threads?
//!    all there -> a Promise, held by the lease until it ends
//!    not       -> Trouble, shown by /ready, the metrics and the log until it has passed
//! ```
//! [`Admission`] asks the machine ([`machine`]) and keeps account of what running tasks were promised ([`promises`]).
//! The worker knows it as the trait [`Admit`]. Whatever else stops the node from taking leases is shown in the same
//! place, the [`TroubleBoard`].

mod board;
mod budget;
mod machine;
mod node;
mod promises;
mod servers;

use async_trait::async_trait;

pub(crate) use board::{Cause, Trouble, TroubleBoard};
pub(crate) use budget::{LiveBudget, MemoryBudget};
pub(crate) use machine::{
    SPARE_BYTES, SPARE_INODES, available_memory, free_descriptors, free_space, scratch_share, total_memory,
};
pub(crate) use node::{Admission, TASK_DESCRIPTORS, TASK_THREADS};
pub(crate) use promises::Promise;

/// Decides whether a lease may be asked for.
#[async_trait]
pub(crate) trait Admit: Send + Sync {
    /// Sets aside what the next task may use.
    ///
    /// # Errors
    /// When something is missing.
    async fn admit(&self) -> Result<Promise, Refusal>;
}

/// Why no lease may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something is missing that the end of no running task brings; it is on the [`TroubleBoard`].
    Trouble,
    /// Running tasks have what the next one may need; why, in words.
    Busy(String),
}
