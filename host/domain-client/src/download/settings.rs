//! Limits of inputs.

/// Limits of a task's inputs (protocol 6.2).
#[derive(Debug, Clone)]
pub struct DownloadSettings {
    /// Consecutive resumes of a cut download without progress before it fails.
    pub max_resumes: u32,
    /// Chunks of at most 256 KiB that may wait for the runner, over all inputs of a task. Beyond these each input
    /// may have one, and none has more than four.
    pub read_ahead: usize,
    /// Inputs that a task may be downloading at a time, each with a connection.
    pub max_open_inputs: usize,
    /// Parts that one input may have.
    pub max_parts: usize,
    /// Bytes that one part may announce. Parts are streamed, so this guards against nonsense, not against use of
    /// memory.
    pub max_part_bytes: u64,
    /// Bytes of the headers of one part.
    pub max_part_header_bytes: usize,
}

impl Default for DownloadSettings {
    fn default() -> Self {
        Self {
            max_resumes: 4,
            read_ahead: 32,
            max_open_inputs: 64,
            max_parts: 1000,
            max_part_bytes: 1 << 40,
            max_part_header_bytes: 16 << 10,
        }
    }
}
