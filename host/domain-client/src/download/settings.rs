//! Limits of inputs.

use std::time::Duration;

/// Limits of a task's inputs (protocol 6.2).
#[derive(Debug, Clone)]
pub struct DownloadSettings {
    /// Consecutive resumes without progress before a download fails whose answers are too short though no connection
    /// broke: what the server has is short, and will be.
    pub max_resumes: u32,
    /// How long a download may go without progress, over more than `max_resumes` resumes, while its connections break. A
    /// server that restarts needs less; a proxy that cuts each answer at the same place would cut it until the task's
    /// deadline.
    pub cut_patience: Duration,
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
            cut_patience: Duration::from_secs(300),
            read_ahead: 32,
            max_open_inputs: 64,
            max_parts: 1000,
            max_part_bytes: 1 << 40,
            max_part_header_bytes: 16 << 10,
        }
    }
}
