//! The cost of an instance, in bytes.

use serde::{Deserialize, Serialize};

/// What one instance needs at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// Bytes that the host holds beside linear memories and tables, which the limiter sees by itself.
    pub(crate) host_bytes: u64,
    /// Bytes of linear memory that the instance begins with.
    pub(crate) memory_bytes: u64,
}

impl Footprint {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            host_bytes: self.host_bytes.saturating_add(other.host_bytes),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    pub(super) fn times(self, count: u64) -> Self {
        Self {
            host_bytes: self.host_bytes.saturating_mul(count),
            memory_bytes: self.memory_bytes.saturating_mul(count),
        }
    }

    pub(super) fn larger(self, other: Self) -> Self {
        Self {
            host_bytes: self.host_bytes.max(other.host_bytes),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}
