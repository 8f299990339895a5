//! Whether guests run in processes of their own, and what for.

use std::path::PathBuf;

use serde::Serialize;

use crate::program::own_program;

/// How guests are kept apart from the node (`SANDBOX`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// In processes of their own, held by everything that this kernel has; what it lacks is said.
    #[default]
    BestEffort,
    /// The same, and nothing is started where something is lacking.
    Require,
    /// In the node's own process: for development, and for systems that can't start a process.
    Off,
}

impl SandboxMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::BestEffort, Self::Require, Self::Off];

    /// The mode's word in settings and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BestEffort => "best-effort",
            Self::Require => "require",
            Self::Off => "off",
        }
    }
}

impl std::str::FromStr for SandboxMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|mode| mode.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("it must be one of {}", words()))
    }
}

/// How guests are kept apart, and what this system lacks for it, for people and programs that look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SandboxView {
    /// As it is set.
    pub mode: SandboxMode,
    /// What is lacking, in words; nothing is known before the first process was started.
    pub missing: Option<Vec<String>>,
}

/// Runners can't be run as the operator wants it.
#[derive(Debug, thiserror::Error)]
#[error(
    "runners can't be kept in processes of their own: {0}; SANDBOX=best-effort does what this system can, and SANDBOX=off \
     runs them in the node's process"
)]
pub struct SandboxError(pub(crate) String);

/// How sandbox processes are started.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// Whether there are any.
    pub mode: SandboxMode,
    /// The program that is started: by default this one, whose `main` begins with
    /// [`run_child_if_asked`](crate::run_child_if_asked). None is as if the mode were off.
    pub program: Option<PathBuf>,
    /// Where the folders of tasks are made, one folder a process. Without one a temporary directory is made.
    pub folder: Option<PathBuf>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self { mode: SandboxMode::default(), program: own_program(), folder: None }
    }
}
