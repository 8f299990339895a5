//! The four calls to DMS, for paths, logs and errors.

use std::fmt;

use http::Method;
use uuid::Uuid;

/// A call to DMS. Its text form is the method and the path below the base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DmsCall {
    /// `GET /tasks` (protocol 3.2).
    Lease,
    /// `POST /tasks/{id}/heartbeat` (protocol 3.4).
    Heartbeat(Uuid),
    /// `POST /tasks/{id}/complete` (protocol 3.5).
    Complete(Uuid),
    /// `POST /tasks/{id}/fail` (protocol 3.6).
    Fail(Uuid),
}

impl DmsCall {
    pub(super) fn method(self) -> Method {
        if self == Self::Lease { Method::GET } else { Method::POST }
    }

    /// The task and the verb after `tasks/` in the path; none for a request for a lease.
    pub(super) fn target(self) -> Option<(Uuid, &'static str)> {
        match self {
            Self::Lease => None,
            Self::Heartbeat(id) => Some((id, "heartbeat")),
            Self::Complete(id) => Some((id, "complete")),
            Self::Fail(id) => Some((id, "fail")),
        }
    }
}

impl fmt::Display for DmsCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target() {
            None => write!(f, "{} /tasks", self.method()),
            Some((id, verb)) => write!(f, "{} /tasks/{id}/{verb}", self.method()),
        }
    }
}
