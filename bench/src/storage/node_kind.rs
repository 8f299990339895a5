//! The nodes that are compared.

use std::fmt;

use posemesh_tests::guests::COPY;

/// Which node is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeKind {
    /// The node of this project.
    Ours,
    /// The same with its runners in its own process: what the sandbox costs.
    InProcess,
    /// The published reference node.
    Reference,
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "posemesh-node",
            Self::InProcess => "posemesh-node, SANDBOX=off",
            Self::Reference => "posemesh-compute-node 0.3.3",
        })
    }
}

impl NodeKind {
    /// Capability of the runner that copies.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::Ours | Self::InProcess => COPY.capability,
            Self::Reference => "/posemesh/reference/v1",
        }
    }
}
