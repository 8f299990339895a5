//! The doors between a task and where its data lies.
//!
//! A runner reads through an [`InputPort`] and writes through an [`OutputPort`]. The domain server's
//! are in [`posemesh_domain_client`]; those of `plugin test` and `plugin run` are files ([`posemesh_runner_cases::files`]).
//! Both are forward-only streams: reading at an offset and files in the sandbox are made of them by
//! the plugin host, once for every kind of port.

use async_trait::async_trait;
use bytes::Bytes;

/// What a runner may ask for in one call when it names no size.
pub const DEFAULT_CHUNK: usize = 1 << 20;
/// The most that moves in one call.
pub const MAX_CHUNK: usize = 8 << 20;

/// What a port error means: the cases of `port-error` in `wit/types.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// No such input, part or file.
    NotFound,
    /// The request itself is wrong.
    Invalid,
    /// Not allowed by the domain server or the node.
    Denied,
    /// A budget is used up.
    Limit,
    /// The bytes are not what was announced.
    Corrupt,
    /// The domain server can't be reached or keeps failing.
    Unavailable,
    /// The task is being stopped.
    Cancelled,
    /// Anything else.
    Other,
}

/// Why a port could not do what was asked.
///
/// ```
/// use posemesh_runner_api::ports::{PortError, PortErrorKind};
///
/// let error = PortError::not_found("there is no input scan.ply").about("opening a scan");
/// assert_eq!(error.kind, PortErrorKind::NotFound);
/// assert_eq!(error.to_string(), "opening a scan: there is no input scan.ply");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PortError {
    /// What it means.
    pub kind: PortErrorKind,
    /// What was attempted and how it failed, for people.
    pub text: String,
}

impl PortError {
    /// An error of any kind.
    pub fn new(kind: PortErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// No such input, part or file.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::NotFound, text)
    }

    /// The request itself is wrong.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Invalid, text)
    }

    /// Not allowed.
    pub fn denied(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Denied, text)
    }

    /// A budget is used up.
    pub fn limit(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Limit, text)
    }

    /// The bytes are not what was announced.
    pub fn corrupt(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Corrupt, text)
    }

    /// The task is being stopped.
    pub fn cancelled() -> Self {
        Self::new(PortErrorKind::Cancelled, "the task was cancelled")
    }

    /// Anything else.
    pub fn other(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Other, text)
    }

    /// The same error with what it is about in front. A cancellation is about the whole task and stays as
    /// it is.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        match self.kind {
            PortErrorKind::Cancelled => self,
            kind => Self::new(kind, format!("{what}: {}", self.text)),
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
    /// Opens a CID (protocol 6.4). Fails with [`PortErrorKind::NotFound`] if it has no part at all, so
    /// the first `next_part` of what is returned gives one.
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError>;
}

/// The parts of one CID, one after the other.
#[async_trait]
pub trait PartStream: Send {
    /// Moves on to the next part; what is left of the current one is skipped. None after the last.
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError>;

    /// The next bytes of the current part: at least one and at most `max_bytes` (which is above 0), or
    /// none at its end. An end before the announced size is [`PortErrorKind::Corrupt`].
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
