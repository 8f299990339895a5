//! Counts a runner's memory, tables and instances over the whole store, which wasmtime's own limits do
//! for each memory alone.

use wasmtime::ResourceLimiter;

use crate::instance::runner_log::RunnerLog;
use crate::instance::trouble::RunTrouble;
use crate::manifest::limits::{Limit, LimitReached, Limits};

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

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    memory_bytes: u64,
    memory_used: u64,
    table_elements: u64,
    tables_used: u64,
    instances: usize,
    refused: Option<RefusedGrowth>,
    log: RunnerLog,
    trouble: RunTrouble,
}

impl MemoryLimiter {
    /// A limiter of which nothing is used yet.
    pub(crate) fn new(limits: &Limits, log: RunnerLog, trouble: RunTrouble) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            memory_used: 0,
            table_elements: limits.table_elements,
            tables_used: 0,
            instances: usize::try_from(limits.instances).unwrap_or(usize::MAX),
            refused: None,
            log,
            trouble,
        }
    }

    /// Bytes of linear memory in use.
    pub(crate) fn memory_used(&self) -> u64 {
        self.memory_used
    }

    /// The limit of linear memory, in bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_bytes
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
        let used = self.memory_used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.memory_bytes {
            // A refusal, not an error: an allocator may cope with it, and an error would trap the guest at once.
            self.refuse(Limit::MemoryBytes, self.memory_bytes);
            return Ok(false);
        }
        // Never given back: linear memory can't shrink, and it lives as long as its store.
        self.memory_used = used;
        self.grown(Limit::MemoryBytes);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The limit had room, the machine had not: the guest sees the same refusal.
        self.trouble.saw_engine("growing the runner's memory", &error);
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
        let used = self.tables_used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.table_elements {
            self.refuse(Limit::TableElements, self.table_elements);
            return Ok(false);
        }
        self.tables_used = used;
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

    fn limiter(limits: Limits) -> MemoryLimiter {
        MemoryLimiter::new(&limits, RunnerLog::new(1 << 20, Span::none()), RunTrouble::default())
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
