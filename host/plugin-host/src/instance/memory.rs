//! Counts a runner's memory, tables and instances over the whole store, which wasmtime's own limits do
//! for each memory alone.

use wasmtime::ResourceLimiter;

use crate::manifest::limits::{Limit, LimitReached, Limits};

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    memory_bytes: u64,
    memory_used: u64,
    table_elements: u64,
    tables_used: u64,
    instances: usize,
    refused: Option<LimitReached>,
}

impl MemoryLimiter {
    /// A limiter of which nothing is used yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            memory_used: 0,
            table_elements: limits.table_elements,
            tables_used: 0,
            instances: usize::try_from(limits.instances).unwrap_or(usize::MAX),
            refused: None,
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

    /// The last growth that was refused. A guest may cope with a refusal; when it traps instead, this is why.
    pub(crate) fn refused(&self) -> Option<&LimitReached> {
        self.refused.as_ref()
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
            self.refused = Some(LimitReached { limit: Limit::MemoryBytes, value: self.memory_bytes });
            return Ok(false);
        }
        // Never given back: linear memory can't shrink, and it lives as long as its store.
        self.memory_used = used;
        Ok(true)
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
            self.refused = Some(LimitReached { limit: Limit::TableElements, value: self.table_elements });
            return Ok(false);
        }
        self.tables_used = used;
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
    use super::*;

    #[test]
    fn two_memories_share_one_limit() {
        let mut limiter = MemoryLimiter::new(&Limits { memory_bytes: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap(), "the second memory is over the sum");
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.memory_used(), 100);
        assert_eq!(limiter.refused().unwrap().limit, Limit::MemoryBytes);
    }
}
