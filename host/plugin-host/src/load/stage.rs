//! Where a generation stands on its way from a file to a runner and out again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step. They are in the order in which a generation passes them; not every one passes all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadStage {
    /// The file is there and has stopped changing.
    Found,
    /// The file was read, has an allowed size, and is a component; its digest is known.
    Verified,
    /// The component is compiled, now or earlier.
    Compiled,
    /// Everything that the component imports is there.
    Linked,
    /// `describe` has returned, and what the runner is granted is decided.
    Probed,
    /// The generation gets a share of the new tasks, beside the live one.
    Canary,
    /// The generation gets the new tasks.
    Live,
    /// The generation gets no new task and is kept for a rollback.
    Previous,
    /// The generation gets no new task and works on those that it has.
    Draining,
    /// The generation has no task and is dropped.
    Gone,
    /// The file did not pass a stage, or its generation was taken back.
    Refused,
}

impl LoadStage {
    /// Every stage, in the order of the way.
    pub const ALL: [Self; 11] = [
        Self::Found,
        Self::Verified,
        Self::Compiled,
        Self::Linked,
        Self::Probed,
        Self::Canary,
        Self::Live,
        Self::Previous,
        Self::Draining,
        Self::Gone,
        Self::Refused,
    ];

    /// The stage's word in logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Verified => "verified",
            Self::Compiled => "compiled",
            Self::Linked => "linked",
            Self::Probed => "probed",
            Self::Canary => "canary",
            Self::Live => "live",
            Self::Previous => "previous",
            Self::Draining => "draining",
            Self::Gone => "gone",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for LoadStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Called with each stage that a load has passed.
pub(crate) type Reached<'a> = &'a (dyn Fn(LoadStage) + Send + Sync);
