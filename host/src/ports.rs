//! The doors between a task and where its data lies.
//!
//! A runner reads through an [`InputPort`] and writes through an [`OutputPort`]. The domain server's
//! are in [`crate::storage`]; those of `plugin test` and `plugin run` are files ([`crate::files`]).
//! Both are forward-only streams: reading at an offset and files in the sandbox are made of them by
//! the plugin host, once for every kind of port.

use async_trait::async_trait;
use bytes::Bytes;

/// What a runner may ask for in one call when it names no size.
pub const DEFAULT_CHUNK: usize = 1 << 20;
/// The most that moves in one call.
pub const MAX_CHUNK: usize = 8 << 20;

/// Why a port could not do what was asked; the text is for people. The same cases as `port-error` in
/// `wit/types.wit`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No such input, part or file.
    #[error("{0}")]
    NotFound(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Not allowed by the domain server or the node.
    #[error("{0}")]
    Denied(String),
    /// A budget is used up.
    #[error("{0}")]
    Limit(String),
    /// The bytes are not what was announced.
    #[error("{0}")]
    Corrupt(String),
    /// The domain server can't be reached or keeps failing.
    #[error("{0}")]
    Unavailable(String),
    /// The task is being stopped.
    #[error("the task was cancelled")]
    Cancelled,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl PortError {
    /// The same, with what it is about in front.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        let named = |text: String| format!("{what}: {text}");
        match self {
            Self::NotFound(text) => Self::NotFound(named(text)),
            Self::Invalid(text) => Self::Invalid(named(text)),
            Self::Denied(text) => Self::Denied(named(text)),
            Self::Limit(text) => Self::Limit(named(text)),
            Self::Corrupt(text) => Self::Corrupt(named(text)),
            Self::Unavailable(text) => Self::Unavailable(named(text)),
            Self::Cancelled => Self::Cancelled,
            Self::Other(text) => Self::Other(named(text)),
        }
    }
}

/// What is known of a part before its bytes (protocol 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// Its id in the domain.
    pub data_id: String,
    /// Its name: any text, not a path.
    pub name: String,
    /// Its kind.
    pub data_type: String,
    /// Its bytes.
    pub size: u64,
    /// The domain it lies in.
    pub domain_id: String,
    /// When it was made (RFC 3339).
    pub created_at: Option<String>,
    /// When it last changed (RFC 3339).
    pub updated_at: Option<String>,
}

/// Where inputs come from.
#[async_trait]
pub trait InputPort: Send + Sync {
    /// Opens a CID (protocol 6.4). Fails with [`PortError::NotFound`] if it has no part at all, so
    /// the first `next_part` of what is returned gives one.
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError>;
}

/// The parts of one CID, one after the other.
#[async_trait]
pub trait PartStream: Send {
    /// Moves on to the next part; what is left of the current one is skipped. None after the last.
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError>;

    /// The next bytes of the current part: at least one and at most `max_bytes` (which is above 0), or
    /// none at its end. An end before the announced size is [`PortError::Corrupt`].
    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError>;
}

/// What is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactSpec {
    /// Relative path with `/` between its parts, already checked by the caller to be one.
    pub path: String,
    /// Explicit name in the domain.
    pub name: Option<String>,
    /// Explicit kind.
    pub data_type: Option<String>,
    /// The data id to replace.
    pub existing_id: Option<String>,
    /// How many bytes are to be expected; a hint.
    pub size_hint: Option<u64>,
}

/// What was stored (protocol 3.5 `artifacts`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Prefix and path.
    pub logical_path: String,
    /// Name in the domain.
    pub name: String,
    /// Kind.
    pub data_type: String,
    /// Id in the domain, if there is one.
    pub id: Option<String>,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes, in lower-case hex.
    pub sha256: String,
}

/// Where artifacts go.
#[async_trait]
pub trait OutputPort: Send + Sync {
    /// Starts an artifact.
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError>;

    /// What was finished so far, in the order of finishing, one entry a logical path (the last).
    fn finished(&self) -> Vec<Artifact>;

    /// Waits, for a bounded time, until what was given up is given up at the server as well. To be called
    /// when the runner has ended and before the end of its task is told: after it the server may take
    /// nothing more.
    async fn settle(&self) {}
}

/// An artifact that is being written. Dropped unfinished it is aborted: nothing is stored, and an
/// upload session that was begun is given up in the background.
#[async_trait]
pub trait ArtifactWriter: Send {
    /// Appends bytes; waits when they come faster than they can be sent on.
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError>;

    /// Commits, and adds the artifact to [`OutputPort::finished`].
    async fn finish(self: Box<Self>) -> Result<Artifact, PortError>;
}
