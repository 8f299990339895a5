//! Which calls a node makes.

/// The calls of a node. Each kind has random choices of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Lease = 0,
    Heartbeat = 1,
    Finish = 2,
    Login = 3,
    Register = 4,
}

impl CallKind {
    /// Whether it goes to DDS.
    pub(super) fn is_dds(self) -> bool {
        matches!(self, Self::Login | Self::Register)
    }
}
