//! Why a node can't take work, in one word: the labels of a metric.

use crate::admission::Cause;
use crate::words::words;

words! {
    /// A reason that lies with the node as a whole.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum NodeReason {
        /// It is stopping.
        Stopping = "stopping",
        /// An operator paused it.
        Paused = "paused",
        /// It drains.
        Draining = "draining",
        /// DDS does not know it.
        NotRegistered = "not_registered",
        /// It has no valid token.
        NoToken = "no_token",
        /// No capability is served.
        NothingServed = "nothing_served",
        /// DMS does not answer requests for work.
        DmsSilent = "dms_silent",
        /// Runners that could not be ended hold threads.
        StuckRunners = "stuck_runners",
    }
}

/// Any reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Node(NodeReason),
    /// A trouble of the board.
    Trouble(Cause),
}

impl Reason {
    /// Every reason that there can be.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of_node = NodeReason::ALL.into_iter().map(Self::Node);
        of_node.chain(Cause::ALL.into_iter().map(Self::Trouble))
    }

    /// The reason as one word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Node(reason) => reason.as_str(),
            Self::Trouble(cause) => cause.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        let words: Vec<&str> = Reason::all().map(Reason::as_str).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "{words:?}");
        assert!(words.contains(&"paused") && words.contains(&"memory"), "{words:?}");
    }
}
