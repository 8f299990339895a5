//! The interfaces between a task and its data.
//!
//! A runner reads through an [`InputPort`] and writes through an [`OutputPort`]. `posemesh_domain_client` implements
//! them for domain servers, `posemesh_runner_cases` with files for `plugin test` and `plugin run`. Both are
//! forward-only streams: the plugin host makes reads at offsets and files in the sandbox out of them, once for
//! every implementation.
//!
//! Ports do not count what a runner may read or write in all: those budgets are the runner host's, which knows the
//! runner's limits.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::failure::Blame;
use crate::replace::Replaceable;

/// Bytes that one read returns at most when the runner names no size.
pub const DEFAULT_CHUNK: usize = 1 << 20;
/// Bytes that one read or write moves at most.
pub const MAX_CHUNK: usize = 8 << 20;

/// The meaning of a port error: the cases of `error` in `wit/types.wit` that ports return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortErrorKind {
    /// No such input, part or file.
    NotFound,
    /// The runner's request is wrong.
    Invalid,
    /// The domain server or the node does not allow the request.
    Denied,
    /// A budget is used up.
    Limit,
    /// The bytes of an input are not those that were announced.
    Corrupt,
    /// The domain server can't be reached or keeps failing.
    Unavailable,
    /// The task is being stopped.
    Cancelled,
    /// Any other failure.
    Other,
}

impl PortErrorKind {
    /// Whose fault an error of this kind is as long as nothing else is known of it.
    pub const fn blame(self) -> Blame {
        match self {
            Self::NotFound | Self::Cancelled => Blame::Task,
            Self::Invalid | Self::Denied | Self::Limit => Blame::Runner,
            Self::Corrupt | Self::Unavailable | Self::Other => Blame::Server,
        }
    }
}

/// Why a port could not do what the runner asked for.
///
/// ```
/// use posemesh_runner_api::ports::{PortError, PortErrorKind};
///
/// let error = PortError::not_found("there is no input scan.ply").about("opening a scan");
/// assert_eq!(error.kind, PortErrorKind::NotFound);
/// assert_eq!(error.to_string(), "opening a scan: there is no input scan.ply");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{text}")]
pub struct PortError {
    /// The meaning, which runners act on.
    pub kind: PortErrorKind,
    /// Whose fault it is: that of the kind, unless more is known. A runner does not see it.
    pub blame: Blame,
    /// What was attempted and how it failed, for people. Holds no secret.
    pub text: String,
}

impl PortError {
    /// Makes an error of any kind.
    pub fn new(kind: PortErrorKind, text: impl Into<String>) -> Self {
        Self { kind, blame: kind.blame(), text: text.into() }
    }

    /// Makes an error of kind [`PortErrorKind::Other`] that is the node's fault: its disk, memory, descriptors.
    pub fn host(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Other, text).blamed_on(Blame::Host)
    }

    /// The same error, blamed on somebody else.
    #[must_use]
    pub fn blamed_on(self, blame: Blame) -> Self {
        Self { blame, ..self }
    }

    /// Makes an error of kind [`PortErrorKind::NotFound`].
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::NotFound, text)
    }

    /// Makes an error of kind [`PortErrorKind::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Invalid, text)
    }

    /// Makes an error of kind [`PortErrorKind::Denied`].
    pub fn denied(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Denied, text)
    }

    /// Makes an error of kind [`PortErrorKind::Limit`].
    pub fn limit(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Limit, text)
    }

    /// Makes an error of kind [`PortErrorKind::Corrupt`].
    pub fn corrupt(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Corrupt, text)
    }

    /// Makes an error of kind [`PortErrorKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(PortErrorKind::Cancelled, "the task was cancelled")
    }

    /// Makes an error of kind [`PortErrorKind::Other`].
    pub fn other(text: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Other, text)
    }

    /// The same error with its subject before the text (`input ids=...: ...`). A cancellation concerns the whole
    /// task and stays as it is.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        match self.kind {
            PortErrorKind::Cancelled => self,
            _ => Self { text: format!("{what}: {}", self.text), ..self },
        }
    }
}

/// What is known of a part before its bytes are read (protocol 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// Data id in the domain.
    pub data_id: String,
    /// Name in the domain: any text, not a path.
    pub name: String,
    /// Type in the domain, as `ply`.
    pub data_type: String,
    /// Size in bytes.
    pub size: u64,
    /// The domain that the part belongs to; empty for a file.
    pub domain_id: String,
    /// Time of creation (RFC 3339).
    pub created_at: Option<String>,
    /// Time of the last change (RFC 3339).
    pub updated_at: Option<String>,
}

/// Opens a task's inputs.
#[async_trait]
pub trait InputPort: Send + Sync {
    /// Opens a CID (protocol 6.4). The first `next_part` of the returned stream always gives a part.
    ///
    /// # Errors
    /// [`PortErrorKind::NotFound`] when the CID has no part at all; [`PortErrorKind::Denied`] when it leads to
    /// another domain; otherwise as the request failed.
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError>;

    /// Says how many inputs the runner may open from now on, and how many bytes it may read: no more than that is fetched
    /// before it is asked for.
    fn within(&self, inputs: u64, bytes: u64) {
        let _ = (inputs, bytes);
    }

    /// The error after which a call of the task waits for another try, or waited when it was dropped. Whoever ends a run
    /// at its deadline asks: that wait is not the runner's fault.
    fn unanswered(&self) -> Option<PortError> {
        None
    }
}

/// The parts of one CID, one after the other. Dropping the stream ends the download.
#[async_trait]
pub trait PartStream: Send {
    /// Moves on to the next part and skips the rest of the current one. `None` after the last part.
    ///
    /// # Errors
    /// As [`PartStream::read`]. After an error, every further call returns the same error.
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError>;

    /// Reads the next bytes of the current part: at least one and at most `max_bytes` (which is above 0), or none
    /// at the end of the part.
    ///
    /// # Errors
    /// [`PortErrorKind::Corrupt`] when the part ends before its announced size or changed meanwhile;
    /// [`PortErrorKind::Unavailable`] when the server fails; [`PortErrorKind::Cancelled`] when the task stops.
    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError>;

    /// The only part with all its bytes, if these are here and no more than `most`: one step instead of several for whoever is
    /// far from the port. The stream is at its end then. Of a stream of which something was read already there is nothing.
    fn whole(&mut self, most: u64) -> Option<(PartInfo, Bytes)> {
        let _ = most;
        None
    }
}

/// What a runner says of an artifact that it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSpec {
    /// Relative path with `/` between its segments. The caller has checked that it is one.
    pub path: String,
    /// Name in the domain, if the runner chose one; otherwise it is derived from the path (protocol 6.10).
    pub name: Option<String>,
    /// Type in the domain, if the runner chose one; otherwise it follows from the path's extension.
    pub data_type: Option<String>,
    /// Id of the data that the artifact replaces.
    pub existing_id: Option<String>,
    /// Expected size in bytes, if known; a hint that need not be true.
    pub size_hint: Option<u64>,
}

/// A stored artifact (protocol 3.5 `artifacts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The task's `outputs_prefix` and the artifact's path.
    pub logical_path: String,
    /// Name in the domain.
    pub name: String,
    /// Type in the domain.
    pub data_type: String,
    /// Data id in the domain, if the server said it.
    pub id: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes, in lower-case hex.
    pub sha256: String,
}

/// Stores a task's artifacts.
#[async_trait]
pub trait OutputPort: Send + Sync {
    /// Starts an artifact. Nothing is counted here: how many artifacts and bytes a runner may write is the runner
    /// host's budget.
    ///
    /// # Errors
    /// [`PortErrorKind::Invalid`] when path, name, type or id can't be used; [`PortErrorKind::Limit`] when too many
    /// artifacts are open at a time.
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError>;

    /// The same for a runner that may replace only some data of the domain. The caller has checked `existing_id`; what a
    /// name stands for only the port can find out. One whose artifacts are not found by name has nothing to ask.
    ///
    /// # Errors
    /// As [`OutputPort::create`]. [`PortErrorKind::Denied`], from here or from the writer, when it would replace other data.
    async fn create_within(
        &self,
        spec: ArtifactSpec,
        _replaceable: Replaceable,
    ) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.create(spec).await
    }

    /// The artifacts that were finished so far, in the order of finishing; of several with the same logical path
    /// only the last.
    fn finished(&self) -> Vec<Artifact>;

    /// Waits, for a bounded time, until aborted uploads are aborted at the server. To be called when the runner has
    /// ended and before the end of its task is reported: afterwards the task's token may be void.
    async fn wait_for_aborts(&self) {}

    /// The error after which a call of the task waits for another try, or waited when it was dropped. Whoever ends a run
    /// at its deadline asks: that wait is not the runner's fault.
    fn unanswered(&self) -> Option<PortError> {
        None
    }
}

/// An artifact that is being written. Dropping it unfinished aborts it: nothing is stored, and an upload session
/// that was begun is aborted in the background.
#[async_trait]
pub trait ArtifactWriter: Send {
    /// Appends bytes; waits when they come faster than they can be sent.
    ///
    /// # Errors
    /// As the upload failed, which goes on behind the call: what becomes of these bytes may be told by a later one, or by
    /// [`ArtifactWriter::finish`]. After an error, or a call that was dropped half-way, the artifact is aborted and every
    /// further call is [`PortErrorKind::Invalid`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError>;

    /// The same with bytes that are only lent. Whoever moves them on in another form anyway spares a copy.
    ///
    /// # Errors
    /// As [`ArtifactWriter::write`].
    async fn write_slice(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.write(Bytes::copy_from_slice(bytes)).await
    }

    /// Stores the artifact and adds it to [`OutputPort::finished`].
    ///
    /// # Errors
    /// As the upload failed; nothing is stored then.
    async fn finish(self: Box<Self>) -> Result<Artifact, PortError>;
}
