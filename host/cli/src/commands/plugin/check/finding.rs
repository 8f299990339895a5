//! What `plugin check` finds.

use std::fmt::{self, Display};

use posemesh_text::escaped;
use serde::Serialize;

use crate::output::out;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Something that its author alone decides.
    Note,
    /// It works, and somebody may be surprised.
    Warning,
    /// It can't work.
    Error,
}

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cure: String,
}

/// All that was found, in the order in which it was looked for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    findings: Vec<Finding>,
}

impl Findings {
    pub(super) fn ok(&mut self, about: &'static str, text: impl Display) {
        self.add(Level::Ok, about, text, "");
    }

    pub(super) fn note(&mut self, about: &'static str, text: impl Display, cure: impl Display) {
        self.add(Level::Note, about, text, cure);
    }

    pub(super) fn warning(&mut self, about: &'static str, text: impl Display, cure: impl Display) {
        self.add(Level::Warning, about, text, cure);
    }

    /// `cure` may be empty where the text says what helps.
    pub(super) fn error(&mut self, about: &'static str, text: impl Display, cure: impl Display) {
        self.add(Level::Error, about, text, cure);
    }

    fn add(&mut self, level: Level, about: &'static str, text: impl Display, cure: impl Display) {
        self.findings.push(Finding { level, about, text: text.to_string(), cure: cure.to_string() });
    }

    /// Whether there is one of this level or above.
    pub(super) fn has(&self, least: Level) -> bool {
        self.findings.iter().any(|finding| finding.level >= least)
    }

    /// Prints them for people.
    pub(super) fn print(&self) {
        for Finding { level, about, text, cure } in &self.findings {
            out!("{level:<8} {about}: {}", escaped(text));
            if !cure.is_empty() {
                out!("         {}", escaped(cure));
            }
        }
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        out!("{} errors, {} warnings", count(Level::Error), count(Level::Warning));
    }
}
