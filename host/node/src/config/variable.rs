//! What a setting is: its variable, its default, what is allowed, and what it means.

use std::borrow::Cow;

/// Settings that belong together, in the order of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Servers,
    Identity,
    Folders,
    Work,
    Registration,
    Tokens,
    DomainServers,
    RunnerLimits,
    Loading,
    Noop,
    Status,
    Log,
}

impl Group {
    /// All groups.
    pub(super) const ALL: [Self; 12] = [
        Self::Servers,
        Self::Identity,
        Self::Folders,
        Self::Work,
        Self::Registration,
        Self::Tokens,
        Self::DomainServers,
        Self::RunnerLimits,
        Self::Loading,
        Self::Noop,
        Self::Status,
        Self::Log,
    ];

    /// The heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Servers => "Servers",
            Self::Identity => "Identity",
            Self::Folders => "Folders",
            Self::Work => "Leases and heartbeats",
            Self::Registration => "Registration",
            Self::Tokens => "Machine token",
            Self::DomainServers => "Domain servers",
            Self::RunnerLimits => "Limits of runners",
            Self::Loading => "Loading runners",
            Self::Noop => "The noop runner",
            Self::Status => "Status server",
            Self::Log => "Log",
        }
    }
}

/// What type the value of a setting has in a settings file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    Text,
    Integer,
    /// With a fraction or without.
    Number,
    Boolean,
    /// A whole number, or a text with a unit.
    Bytes,
    /// The same for a time.
    Time,
    /// Texts, which the variable has with this character between them.
    List(char),
}

impl ValueType {
    /// For the document.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Bytes => "bytes",
            Self::Time => "time",
            Self::List(_) => "list",
        }
    }

    /// For errors.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "`true` or `false`, without quotes",
            Self::Bytes => "a whole number, or a text with a unit such as \"512MiB\"",
            Self::Time => "a whole number, or a text with a unit such as \"10min\"",
            Self::List(_) => "a list of texts",
        }
    }
}

/// The declaration of one setting. Together with the default and the range at the place where it is read, it
/// is all that a setting needs: `config check`, problems and docs/configuration.md come from it.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) group: Group,
    pub(super) name: &'static str,
    /// One or two sentences for operators.
    pub(super) meaning: Cow<'static, str>,
    /// The section of docs/protocol.md, if the setting is about one.
    pub(super) section: Option<&'static str>,
    /// Stands in the document for a default that differs between machines.
    pub(super) default_in_words: Option<&'static str>,
    /// Whether the value is never shown.
    pub(super) secret: bool,
    /// In a settings file.
    pub(super) kind: ValueType,
}

impl Variable {
    pub(super) fn new(group: Group, name: &'static str, meaning: impl Into<Cow<'static, str>>) -> Self {
        let meaning = meaning.into();
        Self {
            group,
            name,
            meaning,
            section: None,
            default_in_words: None,
            secret: false,
            kind: ValueType::Text,
        }
    }

    pub(super) fn section(self, section: &'static str) -> Self {
        Self { section: Some(section), ..self }
    }

    pub(super) fn default_in_words(self, default: &'static str) -> Self {
        Self { default_in_words: Some(default), ..self }
    }

    pub(super) fn of_type(self, kind: ValueType) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// A setting as it was declared, in text.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) variable: Variable,
    /// The value that counts when the variable is not set.
    pub(super) default: String,
    pub(super) allowed: String,
}
