//! What the host holds in its own memory for one guest.

/// A table's element: one pointer.
const TABLE_ELEMENT: u64 = 8;
/// What the node pays for itself: every task has some handles and an instance, and a guest that has filled its memory to
/// the last byte may still open a file. It is part of what the node sets aside for a task beside `memory_bytes`.
pub(super) const ALLOWANCE: u64 = 1 << 20;

/// Bytes by what they are for. They count against `memory_bytes` together with the guest's own memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HostMemory {
    /// The engine's records of instances, globals and functions; known before the first of them is made.
    pub(super) instances: u64,
    /// Elements of tables, which only grow.
    pub(super) table_elements: u64,
    /// Handles and what is behind them, as they were last counted.
    pub(super) handles: u64,
}

impl HostMemory {
    /// What counts.
    pub(super) fn counted(&self) -> u64 {
        let tables = self.table_elements.saturating_mul(TABLE_ELEMENT);
        self.instances.saturating_add(tables).saturating_add(self.handles).saturating_sub(ALLOWANCE)
    }
}
