//! What is found.

use std::fmt;

use posemesh_text::one_line;
use serde::Serialize;

/// How much of a text is shown, in bytes: servers, files and runners have their say in it.
const MAX_TEXT: usize = 1200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// In order.
    Ok,
    /// The node works, and something is not as it should be.
    Warning,
    /// Something that was asked for does not work; perhaps the whole node.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The settings.
    Settings,
    /// Who the node is.
    Identity,
    /// The folders, and what is free in them.
    Folders,
    /// What the machine or the container has.
    Machine,
    /// What holds runners in processes of their own.
    Sandbox,
    /// The status server's address.
    Status,
    /// The discovery service.
    Dds,
    /// The job server.
    Dms,
    /// The runners.
    Runners,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settings => "settings",
            Self::Identity => "identity",
            Self::Folders => "folders",
            Self::Machine => "machine",
            Self::Sandbox => "sandbox",
            Self::Status => "status",
            Self::Dds => "DDS",
            Self::Dms => "DMS",
            Self::Runners => "runners",
        })
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// How bad it is.
    pub level: Level,
    /// What was found, on one line.
    pub text: String,
    /// What helps, unless all is in order or the text says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// Who is told of each finding, as soon as it is there.
pub type Report<'a> = &'a mut (dyn FnMut(Finding) + Send);

impl Finding {
    pub(super) fn ok(area: Area, text: impl fmt::Display) -> Self {
        Self { area, level: Level::Ok, text: one_line(text, MAX_TEXT), cure: None }
    }

    pub(super) fn warning(area: Area, text: impl fmt::Display, cure: impl fmt::Display) -> Self {
        Self { level: Level::Warning, ..Self::error(area, text, cure) }
    }

    pub(super) fn error(area: Area, text: impl fmt::Display, cure: impl fmt::Display) -> Self {
        let cure = one_line(cure, MAX_TEXT);
        let cure = (!cure.is_empty()).then_some(cure);
        Self { area, level: Level::Error, text: one_line(text, MAX_TEXT), cure }
    }
}
