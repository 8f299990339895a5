//! What an operator or a test may choose about storage.

use std::time::Duration;

use uuid::Uuid;

use super::retry::RetryPolicy;

/// Limits and times of everything that is said to a domain server.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// Value of `posemesh-client-id` (protocol 6, header matrix). One a node, not one a task: domain
    /// servers charge by it.
    pub client_id: String,
    /// Parts of upload sessions that one task sends at the same time. At least 1.
    pub upload_parallelism: usize,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How long the server may think between the end of a request and the head of its answer.
    pub first_byte_timeout: Duration,
    /// How long a transfer may make no progress, in either direction.
    pub idle_timeout: Duration,
    /// How long a small answer (JSON) may take from its head to its end.
    pub answer_timeout: Duration,
    /// How long to wait for a rotated task token when the server refuses the current one.
    pub token_wait: Duration,
    /// When a request is tried again.
    pub retry: RetryPolicy,
    /// How often in a row a download that was cut is taken up again without getting any further.
    pub max_resumes: u32,
    /// Pieces of at most 256 KiB that may wait for the runner, over all inputs of a task; each input may have
    /// one beyond these, and no more than four in all.
    pub read_ahead: usize,
    /// Inputs that a task may be downloading at a time, each with a connection.
    pub max_open_inputs: usize,
    /// Artifacts that a task may have open, each with a few files at most.
    pub max_open_artifacts: usize,
    /// Parts that one input may have.
    pub max_input_parts: usize,
    /// Bytes that one part of an input may announce. Parts are streamed, so this guards against
    /// nonsense, not against use of memory.
    pub max_input_part_bytes: u64,
    /// Bytes of the headers of one part of an input.
    pub max_part_header_bytes: usize,
    /// Bytes of an artifact that are kept before it is decided how to send it.
    pub buffer_bytes: u64,
    /// The largest `part_size` that is accepted for an upload session (protocol 6.9).
    pub max_part_size: u64,
    /// Bytes that may wait in memory to be sent, over all artifacts of a task. What is more waits in files:
    /// all parts of a session whose parts would not fit.
    pub upload_memory: usize,
    /// Artifacts that one task may start.
    pub max_artifacts: usize,
    /// Whether `http://` is accepted for servers that are not on this machine. Tokens then travel in
    /// the clear.
    pub allow_plain_http: bool,
    /// How long an answer to `GET /api/v1/info` is used (protocol 6.7).
    pub info_ttl: Duration,
    /// How long a failure of that call counts as "no info" before it is tried again.
    pub info_failure_ttl: Duration,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            client_id: format!("posemesh-compute-node/{}", Uuid::new_v4()),
            upload_parallelism: 4,
            connect_timeout: posemesh_net::http::CONNECT_TIMEOUT,
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(60),
            token_wait: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            max_resumes: 4,
            read_ahead: 32,
            max_open_inputs: 64,
            max_open_artifacts: 64,
            max_input_parts: 1000,
            max_input_part_bytes: 1 << 40,
            max_part_header_bytes: 16 << 10,
            buffer_bytes: 8 << 20,
            max_part_size: 1 << 30,
            // Five parts of 8 MiB: one is being filled, four are in flight.
            upload_memory: 40 << 20,
            max_artifacts: 10_000,
            allow_plain_http: false,
            info_ttl: Duration::from_secs(60),
            info_failure_ttl: Duration::from_secs(60),
        }
    }
}
