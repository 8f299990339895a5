//! Limits of artifacts.

/// The part size of most domain servers, for which the default share of memory is made.
const COMMON_PART_SIZE: usize = 8 << 20;

/// Limits of a task's artifacts (protocol 6.6 and 6.9).
///
/// How many artifacts and bytes a runner may write is not among them: the runner's host counts that.
#[derive(Debug, Clone)]
pub struct UploadSettings {
    /// Parts of upload sessions that one task sends at the same time. At least 1.
    pub parallelism: usize,
    /// Bytes of memory that may wait to be sent, over all artifacts of a task. What is more waits in files: all
    /// parts of a session whose parts would not fit.
    pub memory_bytes: usize,
    /// Artifacts that a task may have open at a time, each with a few files at most.
    pub max_open_artifacts: usize,
    /// Bytes of an artifact that are kept before it is decided how to send it.
    pub buffer_bytes: u64,
    /// Bytes of the largest `part_size` that is accepted for an upload session.
    pub max_part_size: u64,
}

impl UploadSettings {
    /// The defaults with so many parts in flight, and memory for these and one more that is being filled.
    pub fn with_parallelism(parallelism: usize) -> Self {
        Self {
            parallelism,
            memory_bytes: parallelism.saturating_add(1).saturating_mul(COMMON_PART_SIZE),
            max_open_artifacts: 64,
            buffer_bytes: 8 << 20,
            max_part_size: 1 << 30,
        }
    }
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self::with_parallelism(4)
    }
}
