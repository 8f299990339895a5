//! What can go wrong between a devnet and the program that runs it. What clients are answered is in
//! `reply`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a devnet could not do what its owner asked.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The address is taken or not of this machine.
    #[error("cannot listen on {addr}: {source}; choose another address, or port 0 for a free one")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A file of the data directory, or one that was to be put into a domain.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the data directory is not what a devnet writes.
    #[error("cannot read {}: {reason}; remove it to start afresh", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A server role refused, as it would have over HTTP.
    #[error("refused with status {status}: {reason}")]
    Refused {
        /// The status a client would have got.
        status: u16,
        /// The body a client would have got.
        reason: String,
    },
    /// What was waited for did not come.
    #[error("waited {waited_ms} ms in vain for {what}")]
    Timeout {
        /// How long.
        waited_ms: u128,
        /// For what, and how it stood at the end.
        what: String,
    },
}

impl DevnetError {
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
