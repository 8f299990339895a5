//! Errors between a devnet and the program that runs it. What HTTP clients are answered is in `response`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a devnet could not do what the program that runs it asked for.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The address is in use or does not belong to this machine.
    #[error("cannot listen on {addr}: {source}; choose another address, or port 0 for a free one")]
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file could not be used: one of the data directory, or one to be put into a domain.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// The attempted operation, as a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file of the data directory has a content that no devnet writes.
    #[error("cannot read {}: {reason}; remove it to start afresh", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        reason: String,
    },
    /// A server refused the call as it would have refused the same request over HTTP.
    #[error("refused with status {status}: {reason}")]
    Refused {
        /// Status that an HTTP client would have received.
        status: u16,
        /// Body that an HTTP client would have received.
        reason: String,
    },
    /// The event that a caller waited for did not happen in time.
    #[error("timed out after waiting {waited_ms} ms for {what}")]
    Timeout {
        /// The timeout, in milliseconds.
        waited_ms: u128,
        /// The event, and the state at the end of the wait.
        what: String,
    },
}

impl DevnetError {
    /// Makes an [`Self::File`] of an I/O error, for `map_err`.
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
