//! What can go wrong with a domain server, and what a runner is told of it.

use std::time::Duration;

use posemesh_domain_data::cid::CidError;
use posemesh_domain_data::multipart::MultipartError;
use posemesh_domain_data::name::NameError;
use reqwest::StatusCode;

use super::retry;
use posemesh_runner_api::disk::DiskFull;
use posemesh_runner_api::ports::{PortError, PortErrorKind};

/// Why storage could not do what was asked. Texts name what was attempted; none holds a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The settings can't work.
    #[error("storage can't be set up: {0}")]
    Settings(String),
    /// The lease's domain server must not be talked to.
    #[error("the task's domain server is refused: {0}")]
    ServerRefused(String),
    /// A CID that is malformed or leads elsewhere.
    #[error(transparent)]
    Cid(#[from] CidError),
    /// A name or type that can't be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Another wrong request of the runner.
    #[error("{0}")]
    Invalid(String),
    /// The lease came without a token.
    #[error("{0}: the lease has no task token, so the domain server would refuse it")]
    MissingToken(&'static str),
    /// The token can't be a header.
    #[error("{0}: the task token has characters that no HTTP header can hold")]
    BadToken(&'static str),
    /// The server answered, but not with success.
    #[error("{what}: the domain server answered {status}{detail}{}", hint(*.status))]
    Status {
        /// What was attempted.
        what: &'static str,
        /// The status.
        status: StatusCode,
        /// What the server's plain text said, shortened; empty, or begins with `: `.
        detail: String,
        /// What it asked for in `Retry-After`.
        retry_after: Option<Duration>,
        /// Which try of the request this was, from 1.
        tried: u32,
    },
    /// The connection failed.
    #[error("{what}: {cause}; check that the domain server can be reached")]
    Transport {
        /// What was attempted.
        what: &'static str,
        /// The chain of causes, without URLs.
        cause: String,
    },
    /// Nothing moved for too long.
    #[error("{what}: no progress for {after:?} while {phase}")]
    Stalled {
        /// What was attempted.
        what: &'static str,
        /// In which phase.
        phase: &'static str,
        /// The timeout that passed.
        after: Duration,
    },
    /// A success whose body is not what the protocol has.
    #[error("{what}: the domain server's answer is not understood: {why}")]
    BadAnswer {
        /// What was attempted.
        what: &'static str,
        /// What is wrong with it, without its text.
        why: String,
    },
    /// A download that is irregular.
    #[error("the download of the input is broken: {0}")]
    Multipart(#[from] MultipartError),
    /// A download that broke off and could not be taken up again.
    #[error("the download of the input was cut: {0}")]
    Cut(String),
    /// A download whose parts are not what was asked for or what they were before.
    #[error("the download of the input is inconsistent: {0}")]
    Inconsistent(String),
    /// Nothing in the domain answers to a CID.
    #[error("there is no such data in the domain: {0}")]
    NoSuchData(String),
    /// What the server stored is not what was sent.
    #[error("storing `{name}`: {sent} bytes were sent, but the domain server says that it has {stored}")]
    SizeMismatch {
        /// The artifact's name in the domain.
        name: String,
        /// Bytes sent.
        sent: u64,
        /// Bytes that the server has.
        stored: u64,
    },
    /// The artifact does not fit through the server's one door.
    #[error(
        "storing `{name}`: its {size} bytes are more than the domain server takes in one request ({limit}), and the server has no upload sessions"
    )]
    TooLarge {
        /// The artifact's name in the domain.
        name: String,
        /// Its bytes so far, with the request's own.
        size: u64,
        /// What the server takes.
        limit: u64,
    },
    /// No bytes, and the server wants some.
    #[error("storing `{name}`: it is empty, which this domain server does not take ({why})")]
    EmptyRefused {
        /// The artifact's name in the domain.
        name: String,
        /// The refusal.
        why: String,
    },
    /// A part size that is unusable.
    #[error("storing `{name}`: the domain server wants parts of {part_size}, which is refused ({why})")]
    PartSize {
        /// The artifact's name in the domain.
        name: String,
        /// What the server said.
        part_size: String,
        /// Why not.
        why: String,
    },
    /// A budget of the task is used up.
    #[error("{0}")]
    Limit(String),
    /// The task's directory has no room for what has to wait there.
    #[error("storing an artifact that is too large to wait in memory: {0}")]
    Disk(#[from] DiskFull),
    /// The file that holds an artifact until it can be sent.
    #[error("an artifact could not be kept on disk: {0}")]
    Spool(String),
    /// The task is being stopped.
    #[error("the task was cancelled")]
    Cancelled,
}

impl StorageError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => retry::is_transient(*status),
            Self::Transport { .. } | Self::Stalled { .. } => true,
            _ => false,
        }
    }

    /// The server's status, if it answered with another than success.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<StorageError> for PortError {
    fn from(error: StorageError) -> Self {
        use PortErrorKind as Kind;
        use StorageError as E;
        let kind = match &error {
            E::Cid(cid) if cid.is_refusal() => Kind::Denied,
            E::Cid(_) | E::Name(_) | E::Invalid(_) | E::EmptyRefused { .. } => Kind::Invalid,
            E::ServerRefused(_) | E::MissingToken(_) | E::BadToken(_) => Kind::Denied,
            E::Status { status, .. } => match status.as_u16() {
                400 | 422 => Kind::Invalid,
                401 | 403 => Kind::Denied,
                404 => Kind::NotFound,
                413 => Kind::Limit,
                _ if retry::is_transient(*status) => Kind::Unavailable,
                _ => Kind::Other,
            },
            E::Transport { .. } | E::Stalled { .. } => Kind::Unavailable,
            E::Multipart(_) | E::Cut(_) | E::Inconsistent(_) | E::SizeMismatch { .. } => Kind::Corrupt,
            E::NoSuchData(_) => Kind::NotFound,
            E::TooLarge { .. } | E::Limit(_) | E::Disk(_) => Kind::Limit,
            E::Settings(_) | E::BadAnswer { .. } | E::PartSize { .. } | E::Spool(_) => Kind::Other,
            E::Cancelled => Kind::Cancelled,
        };
        Self::new(kind, error.to_string())
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "; the task token was not accepted, and no newer one came with a heartbeat",
        403 => "; the task's token gives no right to this",
        409 => "; the name is taken",
        413 => "; it is larger than the server takes",
        429 => "; the server wants fewer requests",
        300..=399 => "; redirects are not followed, since they would carry the token elsewhere",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_the_cases_that_a_runner_can_tell_apart() {
        let case = |status: StatusCode| {
            let what = "storing";
            let error =
                StorageError::Status { what, status, detail: String::new(), retry_after: None, tried: 1 };
            PortError::from(error)
        };
        assert!(matches!(case(StatusCode::BAD_REQUEST), PortError { kind: PortErrorKind::Invalid, .. }));
        assert!(matches!(case(StatusCode::UNAUTHORIZED), PortError { kind: PortErrorKind::Denied, .. }));
        assert!(matches!(case(StatusCode::FORBIDDEN), PortError { kind: PortErrorKind::Denied, .. }));
        assert!(matches!(case(StatusCode::NOT_FOUND), PortError { kind: PortErrorKind::NotFound, .. }));
        assert!(matches!(case(StatusCode::CONFLICT), PortError { kind: PortErrorKind::Other, .. }));
        assert!(matches!(case(StatusCode::PAYLOAD_TOO_LARGE), PortError { kind: PortErrorKind::Limit, .. }));
        assert!(matches!(
            case(StatusCode::TOO_MANY_REQUESTS),
            PortError { kind: PortErrorKind::Unavailable, .. }
        ));
        assert!(matches!(case(StatusCode::BAD_GATEWAY), PortError { kind: PortErrorKind::Unavailable, .. }));
        assert!(
            matches!(case(StatusCode::FOUND), PortError { kind: PortErrorKind::Other, text } if text.contains("redirects"))
        );
    }
}
