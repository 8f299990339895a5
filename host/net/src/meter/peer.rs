//! The kinds of servers.

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The discovery service.
    Dds,
    /// The job server.
    Dms,
    /// Domain servers, all of them: their number is not ours to bound.
    DomainServer,
}

impl Peer {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Dds, Self::Dms, Self::DomainServer];

    /// The peer as one word, the label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dds => "dds",
            Self::Dms => "dms",
            Self::DomainServer => "domain_server",
        }
    }
}
