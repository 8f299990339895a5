//! What a copy may take before it is not started, or stopped.

use std::time::Duration;

use anyhow::Result;

use crate::memory::available;
use crate::size::{Mib, Size};
use crate::storage::node_kind::NodeKind;

/// Memory that the reference node needs, as a multiple of the artifact: it holds it twice, in a vector and in a
/// copy on the way to the disk, and the rest of the machine needs memory too.
const REFERENCE_COPIES: u64 = 3;

/// Why a node is not asked to copy an artifact of this size: the machine would run out of memory.
pub(crate) fn too_much(kind: NodeKind, bytes: u64) -> Result<Option<String>> {
    let (needed, available) = (bytes.saturating_mul(REFERENCE_COPIES), available()?);
    if kind != NodeKind::Reference || needed <= available {
        return Ok(None);
    }
    Ok(Some(format!(
        "not measured: {kind} holds an artifact of {} more than once and could take up to {} of memory, and {} \
         are available; choose less with `--reference-bytes`",
        Size(bytes),
        Mib(needed),
        Mib(available)
    )))
}

/// How long a copy of this size may take, on a slow machine.
pub(crate) fn copy_timeout(bytes: u64) -> Duration {
    const SLOWEST_BYTES_PER_SECOND: u64 = 8 << 20;
    Duration::from_secs(120 + bytes / SLOWEST_BYTES_PER_SECOND)
}
