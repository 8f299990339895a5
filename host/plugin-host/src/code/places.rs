//! Places for the instances of one component, which are kept from task to task: making memory accessible and giving it back
//! takes system calls for which all threads of the process wait. What that spares is small (`cargo xtask bench plugins`).

use wasmtime::component::Component;
use wasmtime::{InstanceAllocationStrategy, PoolingAllocationConfig};

/// What the operating system has to give for a guest's stack and for the host functions that are called on top of it, in
/// bytes.
pub(crate) const ASYNC_STACK: usize = 4 << 20;
/// Tasks of one process that get a place. More are given their memory one by one.
pub(crate) const PLACES: u32 = 16;
/// Stacks that one call takes: the call's own, and one for what it calls.
const STACKS: u32 = 2;
/// Writable memory that a pool takes for its stacks, in bytes: whoever bounds a process adds it.
pub(crate) const STACK_BYTES: u64 = (PLACES * STACKS) as u64 * (ASYNC_STACK as u64 + PAGE);
const PAGE: u64 = 4 << 10;

/// The most memories and tables of a component, and elements of a table, that a pool is made for. Beyond that, places would
/// take more than they spare.
const MOST_MEMORIES: u32 = 4;
const MOST_TABLES: u32 = 16;
const MOST_ELEMENTS: u64 = 16 << 10;
/// Writable memory that a pool takes for its tables at most, in bytes.
pub(crate) const TABLE_BYTES: u64 = (PLACES * MOST_TABLES) as u64 * (MOST_ELEMENTS * POINTER);
const POINTER: u64 = 16;

/// What stays of a place between tasks, in bytes. It is set back by writing to it, which costs less than having the kernel
/// give and take it.
const KEPT_MEMORY: usize = 256 << 10;
const KEPT_STACK: usize = 64 << 10;

/// What one instance of a component takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    memories: u32,
    tables: u32,
    elements: usize,
}

impl Places {
    /// Those for a component; None for one that takes too much, or whose parts are not known.
    pub(crate) fn of(component: &Component) -> Option<Self> {
        let needed = component.resources_required()?;
        let elements = needed.max_initial_table_size.unwrap_or_default();
        let fits = needed.num_memories <= MOST_MEMORIES
            && needed.num_tables <= MOST_TABLES
            && elements <= MOST_ELEMENTS;
        fits.then_some(Self {
            memories: needed.num_memories.max(1),
            tables: needed.num_tables.max(1),
            elements: usize::try_from(elements).ok()?.max(1),
        })
    }

    pub(super) fn pool(self) -> InstanceAllocationStrategy {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(PLACES)
            .total_core_instances(u32::MAX)
            .total_memories(PLACES.saturating_mul(self.memories))
            .max_memories_per_module(self.memories)
            .max_memories_per_component(self.memories)
            .total_tables(PLACES.saturating_mul(self.tables))
            .max_tables_per_module(self.tables)
            .max_tables_per_component(self.tables)
            .table_elements(self.elements)
            .total_stacks(PLACES * STACKS)
            // Those used last are used next; the others keep nothing.
            .max_unused_warm_slots(0)
            .linear_memory_keep_resident(KEPT_MEMORY)
            .table_keep_resident(KEPT_MEMORY)
            .async_stack_keep_resident(KEPT_STACK);
        InstanceAllocationStrategy::Pooling(pool)
    }
}
