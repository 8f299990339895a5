//! What is said of a server in trouble.

use std::fmt;

use tokio::time::Instant;

/// How a server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerTroubleKind {
    /// It can't be reached, or answers that it can't work now.
    Away,
    /// It works, and task after task ends in an error that is its fault.
    Refusing,
    /// It works, and gives task after task a refusal that would be the task's own fault if a single one got it.
    SameRefusal,
}

impl fmt::Display for ServerTroubleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away => "has not worked",
            Self::Refusing => "has refused everything",
            Self::SameRefusal => "has given every task the same refusal",
        })
    }
}

/// A domain server that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTrouble {
    /// Scheme, host and port.
    pub origin: String,
    /// How it fails.
    pub kind: ServerTroubleKind,
    /// When this began.
    pub since: Instant,
    /// When the trouble is over without further news, so that a task may try; `None` while calls wait for the server.
    pub until: Option<Instant>,
    /// Different tasks in a row that it met.
    pub tasks: u32,
    /// The last error, in one line of bounded length.
    pub text: String,
}

/// As one sentence for logs and `/ready`.
impl fmt::Display for ServerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { origin, kind, tasks, text, .. }, seconds) = (self, self.since.elapsed().as_secs());
        write!(f, "the domain server {origin} {kind} for {seconds} s ({tasks} tasks in a row): {text}")
    }
}
