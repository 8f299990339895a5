//! What can go wrong with a domain server, and which port error a runner gets for it (protocol 6.11).

use std::time::Duration;

use posemesh_domain_data::cid::CidError;
use posemesh_domain_data::multipart::MultipartError;
use posemesh_domain_data::name::NameError;
use posemesh_net::http::{self, CertificateFault};
use posemesh_net::network::Network;
use posemesh_runner_api::disk::DiskFull;
use posemesh_runner_api::failure::Blame;
use posemesh_runner_api::ports::{PortError, PortErrorKind};
use reqwest::StatusCode;
use rustix::io::Errno;

use crate::api::retry;
use crate::servers::Refusal;

/// Why the client could not do what was asked. Texts say what was attempted; none holds a token or a URL.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DomainError {
    /// A setting has a value that can't work.
    #[error("the client of domain servers can't be set up: {0}")]
    Settings(String),
    /// No request may be sent to the lease's domain server.
    #[error("the task's domain server is refused: {0}")]
    ServerRefused(String),
    /// The CID is malformed or leads to another domain.
    #[error(transparent)]
    Cid(#[from] CidError),
    /// The runner chose a name or type that domain servers refuse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The runner's request is wrong in another way.
    #[error("{0}")]
    Invalid(String),
    /// The lease came without a task token.
    #[error("{0}: the lease has no task token, so the domain server would refuse it")]
    MissingToken(&'static str),
    /// The token can't be sent in a header.
    #[error("{0}: the task token has characters that no HTTP header can hold")]
    BadToken(&'static str),
    /// The server answered with another status than success.
    #[error("{what}: the domain server answered {status}{detail}{}", hint(*.status))]
    Status {
        /// What was attempted.
        what: &'static str,
        /// The status of the answer.
        status: StatusCode,
        /// The start of the server's plain text, as `: text`; empty if there is none fit to be shown.
        detail: String,
        /// The wait that the server asked for in `Retry-After`.
        retry_after: Option<Duration>,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Whether data was asked for, and not sent.
        reads: bool,
    },
    /// The connection could not be made or broke.
    #[error("{what}: {cause}; check that the domain server can be reached")]
    Transport {
        /// What was attempted.
        what: &'static str,
        /// The chain of causes, without URLs.
        cause: String,
    },
    /// This node could not open a connection: descriptors, ports or memory have run out.
    #[error("{what}: this node could not open a connection: {cause}")]
    NoSocket {
        /// What was attempted.
        what: &'static str,
        /// The chain of causes, without URLs.
        cause: String,
    },
    /// The server's certificate was refused.
    #[error("{what}: {cause}")]
    Certificate {
        /// What was attempted.
        what: &'static str,
        /// The chain of causes, without URLs, and what helps.
        cause: String,
        /// Whether this node trusts no CA at all, so that it would refuse every certificate.
        trusts_nobody: bool,
    },
    /// The transfer made no progress for too long.
    #[error("{what}: no progress for {after:?} while {phase}")]
    Stalled {
        /// What was attempted.
        what: &'static str,
        /// The phase in which it stalled.
        phase: &'static str,
        /// The timeout that passed.
        after: Duration,
    },
    /// The answer is a success whose body is not what the protocol says.
    #[error("{what}: the domain server's answer is not understood: {why}")]
    BadAnswer {
        /// What was attempted.
        what: &'static str,
        /// What is wrong with the answer. Quotes nothing of it.
        why: String,
    },
    /// The body of the download is irregular.
    #[error("the download of the input is broken: {0}")]
    Multipart(#[from] MultipartError),
    /// The download broke off and could not be resumed.
    #[error("the download of the input was cut: {0}")]
    Cut(String),
    /// The download's parts are not those that were asked for, or changed since an earlier attempt.
    #[error("the download of the input is inconsistent: {0}")]
    Inconsistent(String),
    /// The domain has no data for the CID.
    #[error("there is no such data in the domain: {0}")]
    NoSuchData(String),
    /// The artifact would replace data that its task has nothing to do with.
    #[error(
        "the data {0} may not be replaced by this task, which does not name it; the operator allows it by \
         replace = \"domain\" in NAME.toml"
    )]
    NotReplaceable(String),
    /// The server stored another number of bytes than were sent.
    #[error("storing `{name}`: {sent} bytes were sent, but the domain server says that it has {stored}")]
    SizeMismatch {
        /// The artifact's name in the domain.
        name: String,
        /// Bytes sent.
        sent: u64,
        /// Bytes that the server has.
        stored: u64,
    },
    /// The artifact is too large for one request, and the server takes no other.
    #[error(
        "storing `{name}`: its {size} bytes are more than the domain server takes in one request ({limit}), and the server has no upload sessions"
    )]
    TooLarge {
        /// The artifact's name in the domain.
        name: String,
        /// Bytes of the request so far, framing included.
        size: u64,
        /// Bytes that the server takes in one request.
        limit: u64,
    },
    /// The artifact is empty, and the server takes no empty data.
    #[error("storing `{name}`: it is empty, which this domain server does not take ({why})")]
    EmptyRefused {
        /// The artifact's name in the domain.
        name: String,
        /// The server's refusal.
        why: String,
    },
    /// The server dictates a part size that can't be used.
    #[error("storing `{name}`: the domain server wants parts of {part_size}, which is refused ({why})")]
    PartSize {
        /// The artifact's name in the domain.
        name: String,
        /// The part size that the server said, shortened.
        part_size: String,
        /// Why it can't be used.
        why: String,
    },
    /// The task has reached a limit of this node.
    #[error("{0}")]
    Limit(String),
    /// The task's directory has no room for what has to wait there.
    #[error("storing an artifact that is too large to wait in memory: {0}")]
    Disk(#[from] DiskFull),
    /// The file that holds an artifact until it can be sent can't be used.
    #[error(
        "an artifact could not be kept on disk: {0}; the node's WORK_DIR has to be there, with room and inodes, and the \
         node needs free descriptors"
    )]
    Spool(String),
    /// The task is being stopped.
    #[error("the task was cancelled")]
    Cancelled,
}

impl DomainError {
    /// What a request that got no answer failed by.
    pub(crate) fn of_request(what: &'static str, error: &reqwest::Error) -> Self {
        let cause = http::cause(error);
        if let Some(fault) = http::certificate_fault(error) {
            let unknown = fault == CertificateFault::UnknownIssuer;
            let trusts_nobody = unknown && Network::current().trusted().is_empty();
            return Self::Certificate { what, cause, trusts_nobody };
        }
        match http::os_error(error).is_some_and(is_own_shortage) {
            true => Self::NoSocket { what, cause },
            false => Self::Transport { what, cause },
        }
    }

    /// Whose fault it is.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Cid(_) | Self::NoSuchData(_) | Self::TooLarge { .. } | Self::Cancelled => Blame::Task,
            Self::Name(_) | Self::Invalid(_) | Self::NotReplaceable(_) | Self::EmptyRefused { .. } => {
                Blame::Runner
            }
            Self::Limit(_) | Self::Disk(_) => Blame::Runner,
            Self::Settings(_) | Self::Spool(_) | Self::NoSocket { .. } => Blame::Host,
            Self::Certificate { trusts_nobody: true, .. } => Blame::Host,
            Self::Status { status, reads, .. } => match status.as_u16() {
                // What is there, what has that name, and how large it is: the data's doing. Of what is sent, only the
                // domain or the upload session can be missing.
                404 | 410 if *reads => Blame::Task,
                409 | 413 => Blame::Task,
                400 | 422 => Blame::Runner,
                _ => Blame::Server,
            },
            // A lease whose server or token is of no use comes from a server too.
            Self::ServerRefused(_) | Self::MissingToken(_) | Self::BadToken(_) => Blame::Server,
            Self::Transport { .. } | Self::Stalled { .. } | Self::Certificate { .. } => Blame::Server,
            Self::BadAnswer { .. } | Self::PartSize { .. } | Self::SizeMismatch { .. } => Blame::Server,
            Self::Multipart(_) | Self::Cut(_) | Self::Inconsistent(_) => Blame::Server,
        }
    }

    /// What the server refused, if that is not its own fault as far as one task can tell.
    pub(crate) fn own_refusal(&self) -> Option<Refusal> {
        if self.is_transient() || !matches!(self.blame(), Blame::Task | Blame::Runner) {
            return None;
        }
        let (what, status, reads) = match self {
            Self::Status { what, status, reads, .. } => (*what, status.as_u16(), *reads),
            // Answers that amount to a status.
            Self::NoSuchData(_) => ("finding data", 404, true),
            Self::TooLarge { .. } => ("storing an artifact", 413, false),
            _ => return None,
        };
        Some(Refusal { what, status, reads })
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => retry::is_transient(*status),
            Self::Transport { .. } | Self::Stalled { .. } | Self::NoSocket { .. } => true,
            _ => false,
        }
    }

    /// The status of the answer, if the server answered with another than success.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    /// Whether it answers a repetition, so that an attempt before it may have taken effect although its answer was lost.
    pub(crate) fn is_repeated(&self) -> bool {
        matches!(self, Self::Status { attempt, .. } if *attempt > 1)
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<DomainError> for PortError {
    fn from(error: DomainError) -> Self {
        use DomainError as E;
        use PortErrorKind as Kind;
        let kind = match &error {
            E::Cid(cid) if cid.is_refusal() => Kind::Denied,
            E::Cid(_) | E::Name(_) | E::Invalid(_) | E::EmptyRefused { .. } => Kind::Invalid,
            E::NotReplaceable(_) | E::ServerRefused(_) | E::MissingToken(_) | E::BadToken(_) => Kind::Denied,
            E::Status { status, .. } => match status.as_u16() {
                400 | 422 => Kind::Invalid,
                401 | 403 => Kind::Denied,
                404 => Kind::NotFound,
                413 => Kind::Limit,
                _ if retry::is_transient(*status) => Kind::Unavailable,
                _ => Kind::Other,
            },
            E::Transport { .. } | E::Stalled { .. } | E::Certificate { .. } | E::NoSocket { .. } => {
                Kind::Unavailable
            }
            E::Multipart(_) | E::Cut(_) | E::Inconsistent(_) | E::SizeMismatch { .. } => Kind::Corrupt,
            E::NoSuchData(_) => Kind::NotFound,
            E::TooLarge { .. } | E::Limit(_) | E::Disk(_) => Kind::Limit,
            E::Settings(_) | E::BadAnswer { .. } | E::PartSize { .. } | E::Spool(_) => Kind::Other,
            E::Cancelled => Kind::Cancelled,
        };
        Self::new(kind, error.to_string()).blamed_on(error.blame())
    }
}

/// Whether an error of the operating system says that this process or machine has run out of something.
fn is_own_shortage(errno: i32) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    shortages.iter().any(|shortage| shortage.raw_os_error() == errno)
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
mod tests;
