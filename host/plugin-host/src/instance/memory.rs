//! The account of one run's memory: the guest's own, and what the host holds on its behalf, over the whole store.
//! wasmtime's own limits count each memory alone, and nothing of the host's.
//!
//! A growth of the guest's memory or of a table is refused before it is made, and the guest may cope. What the host holds is
//! counted when the instance is made, and then at each epoch tick (`census`); a guest that makes it hold too much is ended.

mod host;

use wasmtime::ResourceLimiter;

use crate::instance::memory::host::HostMemory;
use crate::instance::process_memory;
use crate::instance::runner_log::RunnerLog;
use crate::instance::trouble::RunTrouble;
use crate::manifest::limits::{Limit, LimitReached, Limits};

/// How many of the bytes that an instance costs the host count against `memory_bytes`.
pub(crate) fn counted_instance_bytes(instance_bytes: u64) -> u64 {
    HostMemory { instances: instance_bytes, ..HostMemory::default() }.counted()
}

/// A growth of memory or of a table that was refused. A guest may cope with it: what became of it afterwards says
/// whether it did.
#[derive(Debug, Clone)]
pub(crate) struct RefusedGrowth {
    /// The limit that refused it.
    pub(crate) limit: LimitReached,
    /// Whether a later growth of the same kind succeeded.
    pub(crate) grown_since: bool,
    /// How many lines the guest had printed by then.
    pub(crate) lines_before: u64,
    /// What it prints.
    pub(crate) log: RunnerLog,
}

/// What is left of a run's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryLeft {
    /// Bytes that may still be used.
    pub(crate) free: u64,
    /// The limit, in bytes.
    pub(crate) limit: u64,
}

impl MemoryLeft {
    /// Checks that so many bytes may be held.
    ///
    /// # Errors
    /// The limit that they would pass.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), LimitReached> {
        let reached = LimitReached { limit: Limit::MemoryBytes, value: self.limit };
        if bytes > self.free { Err(reached) } else { Ok(()) }
    }
}

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    memory_bytes: u64,
    /// Bytes of linear memory.
    linear: u64,
    host: HostMemory,
    table_elements: u64,
    instances: usize,
    refused: Option<RefusedGrowth>,
    log: RunnerLog,
    trouble: RunTrouble,
}

impl MemoryLimiter {
    /// A limiter of which nothing is used yet, for a component of which an instance costs the host so many bytes.
    pub(crate) fn new(limits: &Limits, instance_bytes: u64, log: RunnerLog, trouble: RunTrouble) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            linear: 0,
            host: HostMemory { instances: instance_bytes, ..HostMemory::default() },
            table_elements: limits.table_elements,
            instances: usize::try_from(limits.instances).unwrap_or(usize::MAX),
            refused: None,
            log,
            trouble,
        }
    }

    /// Bytes in use: linear memory, and what the host holds beyond its allowance.
    pub(crate) fn memory_used(&self) -> u64 {
        self.linear.saturating_add(self.host.counted())
    }

    /// The limit, in bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_bytes
    }

    /// Bytes that may still be used.
    pub(crate) fn memory_free(&self) -> u64 {
        self.memory_bytes.saturating_sub(self.memory_used())
    }

    /// The same, for whoever is about to make the host hold something.
    pub(crate) fn left(&self) -> MemoryLeft {
        MemoryLeft { free: self.memory_free(), limit: self.memory_bytes }
    }

    /// Checks that an instance may be made at all.
    ///
    /// # Errors
    /// The limit that the instance alone would pass.
    pub(crate) fn admit_instance(&self) -> Result<(), LimitReached> {
        if self.memory_used() > self.memory_bytes { Err(self.memory_reached()) } else { Ok(()) }
    }

    /// Notes how many bytes the host holds for the guest's handles.
    ///
    /// # Errors
    /// The limit, when that is too much. There is no refusing what is there already, so that this ends the guest.
    pub(crate) fn holds(&mut self, bytes: u64) -> Result<(), LimitReached> {
        let grows = bytes > self.host.handles;
        self.host.handles = bytes;
        // A guest whose memory is full is not ended by handles that it had before.
        if grows && self.memory_used() > self.memory_bytes { Err(self.memory_reached()) } else { Ok(()) }
    }

    fn memory_reached(&self) -> LimitReached {
        LimitReached { limit: Limit::MemoryBytes, value: self.memory_bytes }
    }

    /// The last growth that was refused.
    pub(crate) fn refused(&self) -> Option<&RefusedGrowth> {
        self.refused.as_ref()
    }

    fn refuse(&mut self, limit: Limit, value: u64) {
        self.refused = Some(RefusedGrowth {
            limit: LimitReached { limit, value },
            grown_since: false,
            lines_before: self.log.lines(),
            log: self.log.clone(),
        });
    }

    /// A growth succeeded: whatever was refused before, the guest has gone on.
    fn grown(&mut self, limit: Limit) {
        if let Some(refused) = &mut self.refused {
            refused.grown_since |= refused.limit.limit == limit;
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        if more > self.memory_free() {
            // A refusal, not an error: an allocator may cope with it, and an error would trap the guest at once.
            self.refuse(Limit::MemoryBytes, self.memory_bytes);
            return Ok(false);
        }
        // Never given back: linear memory can't shrink, and it lives as long as its store.
        self.linear = self.linear.saturating_add(more);
        self.grown(Limit::MemoryBytes);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The limit had room, and what else the runner makes its process hold had taken it, or the machine had none: the
        // guest sees the same refusal.
        match process_memory::is_used_up() {
            true => self.refuse(Limit::MemoryBytes, self.memory_bytes),
            false => self.trouble.saw_engine("growing the runner's memory", &error),
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        let used = self.host.table_elements.saturating_add(more);
        if used > self.table_elements {
            self.refuse(Limit::TableElements, self.table_elements);
            return Ok(false);
        }
        let grown = HostMemory { table_elements: used, ..self.host };
        if self.linear.saturating_add(grown.counted()) > self.memory_bytes {
            self.refuse(Limit::MemoryBytes, self.memory_bytes);
            return Ok(false);
        }
        self.host = grown;
        self.grown(Limit::TableElements);
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tracing::{Level, Span};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn limiter(limits: Limits) -> MemoryLimiter {
        with_instances(limits, 0)
    }

    fn with_instances(limits: Limits, bytes: u64) -> MemoryLimiter {
        MemoryLimiter::new(&limits, bytes, RunnerLog::new(1 << 20, Span::none()), RunTrouble::default())
    }

    #[test]
    fn what_the_host_holds_counts_together_with_the_guests_memory() {
        let limits = || Limits { memory_bytes: 10 * MIB, table_elements: MIB, ..Limits::default() };
        let mut limiter = with_instances(limits(), 5 * MIB);
        limiter.admit_instance().unwrap();
        assert_eq!(limiter.memory_used(), 4 * MIB, "the first MiB is the node's own expense");
        assert!(!limiter.memory_growing(0, 7 << 20, None).unwrap());
        assert!(limiter.memory_growing(0, 3 << 20, None).unwrap());
        // 2 MiB of pointers.
        assert!(limiter.table_growing(0, 256 << 10, None).unwrap());
        assert!(!limiter.table_growing(0, 512 << 10, None).unwrap());
        assert_eq!(
            limiter.refused().unwrap().limit.limit,
            Limit::MemoryBytes,
            "elements were left, memory was not"
        );
        limiter.holds(MIB).unwrap();
        assert_eq!((limiter.memory_used(), limiter.memory_free()), (10 * MIB, 0));
        assert_eq!(limiter.holds(MIB + 1).unwrap_err(), limits().reached(Limit::MemoryBytes));
        limiter.holds(0).unwrap();
        assert_eq!(limiter.memory_used(), 9 * MIB, "what is closed is free again");
    }

    #[test]
    fn an_instance_that_costs_more_than_there_is_is_not_made() {
        let limits = || Limits { memory_bytes: MIB, ..Limits::default() };
        with_instances(limits(), 2 * MIB).admit_instance().unwrap();
        let error = with_instances(limits(), 2 * MIB + 1).admit_instance().unwrap_err();
        assert_eq!(error, limits().reached(Limit::MemoryBytes));
    }

    #[test]
    fn a_full_memory_may_be_followed_by_a_few_handles() {
        let mut limiter = limiter(Limits { memory_bytes: MIB, ..Limits::default() });
        assert!(limiter.memory_growing(0, 1 << 20, None).unwrap());
        limiter.holds(1000).unwrap();
    }

    #[test]
    fn two_memories_share_one_limit() {
        let mut limiter = limiter(Limits { memory_bytes: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap(), "the second memory is over the sum");
        assert_eq!(limiter.refused().unwrap().limit.limit, Limit::MemoryBytes);
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.memory_used(), 100);
    }

    #[test]
    fn what_became_of_a_guest_after_a_refusal_is_remembered() {
        let limits = Limits { memory_bytes: 100, table_elements: 10, ..Limits::default() };
        let mut limiter = limiter(limits);
        limiter.log.line("stdout", Level::INFO, "one\ntwo");
        assert!(!limiter.memory_growing(0, 101, None).unwrap());
        let refused = limiter.refused().unwrap();
        assert_eq!((refused.grown_since, refused.lines_before), (false, 2));
        assert!(limiter.table_growing(0, 5, None).unwrap());
        assert!(!limiter.refused().unwrap().grown_since, "a table is no memory");
        assert!(limiter.memory_growing(0, 50, None).unwrap());
        assert!(limiter.refused().unwrap().grown_since);
        assert!(!limiter.memory_growing(50, 101, None).unwrap());
        assert!(!limiter.refused().unwrap().grown_since, "a later refusal is judged by what follows it");
    }
}
