//! Whether a lease still belongs to this node.

/// Whether a lease still belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// It does, as far as is known.
    Active,
    /// The server wants the task stopped (protocol 5.1).
    Cancelled,
    /// The server said that it does not; the text says how (protocol 5.2).
    Lost(String),
    /// No heartbeat was answered in time; the text says for how long. The server may see it differently.
    Expired(String),
}

impl LeaseState {
    /// The server has leased the task to this node once more, so the earlier lease was over.
    pub(crate) fn superseded() -> Self {
        Self::Lost("the server has leased the task anew".to_owned())
    }
}
