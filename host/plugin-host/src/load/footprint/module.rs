//! What one instance of a core module costs.

use wasmparser::{BinaryReaderError, ElementItems, ElementKind, ExternalKind, MemoryType, Payload, TypeRef};

use crate::code::footprint::Footprint;

/// The engine's record of an instance, its place in the store, and what the allocator adds.
const INSTANCE: u64 = 2 << 10;
/// A function, table, memory, global or tag that is imported: at most four pointers.
const IMPORT: u64 = 32;
/// A global: room for a vector.
const GLOBAL: u64 = 16;
/// What is referred to by a table, an export or another module: four pointers.
const FUNCTION_REFERENCE: u64 = 32;
/// The records of a memory or a table; what is in them is counted by the limiter.
const MEMORY_OR_TABLE: u64 = 512;
/// A reference in a passive segment, which each instance evaluates for itself.
const PASSIVE_ELEMENT: u64 = 16;
/// A segment: its record, and whether it was dropped.
const SEGMENT: u64 = 64;
/// An export by name.
const EXPORT: u64 = 16;
/// A page of linear memory.
const PAGE: u64 = 64 << 10;

/// The price of a module that is being read.
#[derive(Debug, Default)]
pub(super) struct ModulePrice {
    imports: u64,
    functions: u64,
    /// Functions that are referred to, some more than once.
    references: u64,
    globals: u64,
    memories_and_tables: u64,
    segments: u64,
    passive: u64,
    exports: u64,
    memory_bytes: u64,
    /// A table may grow.
    grows: bool,
}

impl ModulePrice {
    /// Takes a section into account.
    pub(super) fn section(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.imports += 1;
                    if matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                        self.functions += 1;
                    }
                }
            }
            Payload::FunctionSection(functions) => self.functions += u64::from(functions.count()),
            Payload::TagSection(tags) => self.imports += u64::from(tags.count()),
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?.ty;
                    self.memories_and_tables += 1;
                    self.grows |= table.maximum != Some(table.initial);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories_and_tables += 1;
                    self.memory_bytes = self.memory_bytes.saturating_add(first_bytes(&memory?));
                }
            }
            Payload::GlobalSection(globals) => {
                self.globals += u64::from(globals.count());
                // Each may begin with a reference.
                self.references += u64::from(globals.count());
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.exports += 1;
                    self.references += u64::from(export?.kind == ExternalKind::Func);
                }
            }
            Payload::StartSection { .. } => self.references += 1,
            Payload::ElementSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let items = u64::from(match &segment.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    });
                    self.segments += 1;
                    self.references += items;
                    if matches!(segment.kind, ElementKind::Passive) {
                        self.passive += items;
                    }
                }
            }
            Payload::DataSection(segments) => self.segments += u64::from(segments.count()),
            _ => {}
        }
        Ok(())
    }

    /// What an instance of it costs.
    pub(super) fn price(&self) -> Footprint {
        let parts = [
            (self.imports, IMPORT),
            (self.references.min(self.functions), FUNCTION_REFERENCE),
            (self.globals, GLOBAL),
            (self.memories_and_tables, MEMORY_OR_TABLE),
            (self.segments, SEGMENT),
            (self.passive, PASSIVE_ELEMENT),
            (self.exports, EXPORT),
        ];
        let host_bytes =
            parts.iter().fold(INSTANCE, |sum, (count, size)| sum.saturating_add(count.saturating_mul(*size)));
        Footprint { host_bytes, memory_bytes: self.memory_bytes, poolable: !self.grows }
    }
}

fn first_bytes(memory: &MemoryType) -> u64 {
    // Only with a proposal that the engine does not have may a page have another size.
    let page = memory.page_size_log2.map_or(PAGE, |log2| 1_u64.checked_shl(log2).unwrap_or(PAGE));
    memory.initial.saturating_mul(page)
}
