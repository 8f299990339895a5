//! The cost of an instance, in bytes.

use serde::{Deserialize, Serialize};

/// What one instance needs at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// Bytes that the host holds beside linear memories and tables, which the limiter sees by itself.
    pub(crate) host_bytes: u64,
    /// Bytes of linear memory that the instance begins with.
    pub(crate) memory_bytes: u64,
    /// Whether its instances take places of one size each: no table of it grows, and a call has one stack.
    #[serde(default)]
    pub(crate) poolable: bool,
}

impl Footprint {
    /// Of what costs nothing.
    pub(crate) const NONE: Self = Self { host_bytes: 0, memory_bytes: 0, poolable: true };

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            host_bytes: self.host_bytes.saturating_add(other.host_bytes),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            poolable: self.poolable && other.poolable,
        }
    }

    pub(crate) fn times(self, count: u64) -> Self {
        Self {
            host_bytes: self.host_bytes.saturating_mul(count),
            memory_bytes: self.memory_bytes.saturating_mul(count),
            poolable: self.poolable || count == 0,
        }
    }

    pub(crate) fn larger(self, other: Self) -> Self {
        Self {
            host_bytes: self.host_bytes.max(other.host_bytes),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            poolable: self.poolable && other.poolable,
        }
    }
}
