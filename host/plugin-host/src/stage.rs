//! Where a generation stands on its way from a file to a runner and out again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step. They are in the order in which a generation passes them; not every one passes all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its file is there and has stopped changing.
    Found,
    /// It was read, has an allowed size, and is a component; its digest is known.
    Verified,
    /// It is compiled, now or earlier.
    Compiled,
    /// Everything that it imports is there.
    Linked,
    /// It has described itself, and what it is granted is decided.
    Probed,
    /// It gets a share of the new tasks, beside the live one.
    Canary,
    /// It gets the new tasks.
    Live,
    /// It gets no new task, has none, and is kept for a rollback.
    Previous,
    /// It gets no new task and works on those that it has.
    Draining,
    /// It has no task and is dropped.
    Gone,
    /// It did not pass a stage, or was taken back.
    Refused,
}

impl Stage {
    /// All of them.
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

    /// Its word, as in logs, metrics and JSON.
    pub fn word(self) -> &'static str {
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

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Told of each stage that a load has passed.
pub type Reached<'a> = &'a (dyn Fn(Stage) + Send + Sync);
