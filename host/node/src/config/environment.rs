//! The raw stage: variables as they were given, and where each came from.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use posemesh_text::one_line;
use serde::Serialize;
use zeroize::Zeroizing;

use super::env_file::{self, EnvFileError};
use super::handover::handed_over;
use super::problem::Problem;
use super::settings_file::SettingsFile;

/// How much of a path is shown.
const SHOWN_BYTES: usize = 400;

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// The process environment.
    Environment,
    /// The `.env` file.
    EnvFile,
    /// The settings file, `posemesh-node.toml`.
    SettingsFile,
    /// The file that a variable names, for secrets.
    File,
    /// A credential of systemd, for secrets.
    Credential,
    /// The default: nobody set it.
    Default,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "environment",
            Self::EnvFile => "env file",
            Self::SettingsFile => "settings file",
            Self::File => "file",
            Self::Credential => "systemd credential",
            Self::Default => "default",
        })
    }
}

/// Environment variables before they are checked. `Debug` shows names only, since some values are secrets.
///
/// ```
/// use posemesh_node_core::config::{Environment, SettingSource};
///
/// let environment = Environment::from_iter([("LOG_FORMAT", " text "), ("RUST_LOG", " ")]);
/// assert_eq!(environment.get("LOG_FORMAT"), Some(("text", SettingSource::Environment)));
/// assert_eq!(environment.get("RUST_LOG"), None, "blank counts as unset");
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, (Zeroizing<String>, SettingSource)>,
    not_utf8: BTreeSet<String>,
    /// The `.env` file that was read.
    file: Option<PathBuf>,
    /// The settings file that was read.
    settings_file: Option<PathBuf>,
    /// The lines of what it has.
    lines: BTreeMap<&'static str, usize>,
    problems: Vec<Problem>,
    warning: Option<String>,
}

impl Environment {
    /// Takes variables as the operating system has them. One whose value is not UTF-8 is remembered as
    /// such, so that it is reported if it is a setting.
    pub fn from_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            // No setting has such a name.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => environment.set(name, value, SettingSource::Environment),
                Err(_) => {
                    environment.not_utf8.insert(name);
                }
            }
        }
        environment
    }

    /// The environment of this process, with what was taken out of it.
    pub(super) fn of_process() -> Self {
        let mut environment = Self::from_os(std::env::vars_os());
        environment.add_handed_over();
        environment
    }

    /// Adds what was taken out of the environment of this process.
    fn add_handed_over(&mut self) {
        for (name, value) in handed_over() {
            let Ok(name) = name.into_string() else { continue };
            match str::from_utf8(&value) {
                Ok(value) => self.set(name, value.to_owned(), SettingSource::Environment),
                Err(_) => drop(self.not_utf8.insert(name)),
            }
        }
    }

    fn set(&mut self, name: String, value: String, source: SettingSource) {
        self.values.insert(name, (Zeroizing::new(value), source));
    }

    /// Adds the variables of a `.env` file that the real environment does not have. One that is set but blank
    /// in the environment counts as set here, so that an operator can hide a line of the file.
    pub(super) fn add_from_file(&mut self, path: &Path) -> Result<(), EnvFileError> {
        let mut from_file = BTreeMap::new();
        from_file.extend(env_file::read(path)?);
        self.file = Some(path.to_owned());
        for (name, value) in from_file {
            // A value that is not UTF-8 is set as well: the file must not hide that it is wrong.
            if !self.values.contains_key(&name) && !self.not_utf8.contains(&name) {
                self.values.insert(name, (value, SettingSource::EnvFile));
            }
        }
        Ok(())
    }

    /// Adds the settings of a file that nothing else has. What is set but blank hides the line of this file as well.
    pub(super) fn add_settings(&mut self, file: SettingsFile) {
        let SettingsFile { path, entries, problems, warning } = file;
        for entry in entries {
            let is_set = |name: &&str| self.values.contains_key(*name) || self.not_utf8.contains(*name);
            let Some(name) = entry.names.first().copied().filter(|_| !entry.names.iter().any(is_set)) else {
                continue;
            };
            self.values.insert(name.to_owned(), (entry.value, SettingSource::SettingsFile));
            self.lines.insert(name, entry.line);
        }
        (self.settings_file, self.problems, self.warning) = (Some(path), problems, warning);
    }

    /// The `.env` file that was read.
    pub fn env_file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The settings file that was read.
    pub fn settings_file(&self) -> Option<&Path> {
        self.settings_file.as_deref()
    }

    /// What is wrong with keys of the settings file.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What others could do with the settings file.
    pub(super) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The file and the line that a setting stands in; none if it is not from a settings file.
    pub(super) fn place(&self, name: &str) -> Option<String> {
        let line = self.lines.get(name)?;
        Some(format!("{} line {line}", one_line(self.settings_file()?.display(), SHOWN_BYTES)))
    }

    /// The trimmed value and its source; none if it is unset or blank.
    pub fn get(&self, name: &str) -> Option<(&str, SettingSource)> {
        let (value, source) = self.values.get(name)?;
        let value = value.trim();
        (!value.is_empty()).then_some((value, *source))
    }

    /// The names of all variables, with where each came from.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, SettingSource)> {
        self.values.iter().map(|(name, (_, source))| (name.as_str(), *source))
    }

    /// The files that hold settings: the `.env` file, the settings file, and those that variables name.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let named = self.values.iter().filter(|(name, _)| name.ends_with("_FILE"));
        let named =
            named.map(|(_, (value, _))| value.trim()).filter(|value| !value.is_empty()).map(Path::new);
        self.file.as_deref().into_iter().chain(self.settings_file.as_deref()).chain(named)
    }

    pub(super) fn is_not_utf8(&self, name: &str) -> bool {
        self.not_utf8.contains(name)
    }
}

/// Variables from text, for tests and for programs that embed the node.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            environment.set(name.into(), value.into(), SettingSource::Environment);
        }
        environment
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.values.keys()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_real_environment_wins_over_the_file_even_when_blank() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# comment\nA=file\nB=file\nC=\" padded \"").unwrap();
        let mut environment = Environment::from_iter([("A", "real"), ("B", " ")]);
        environment.add_from_file(file.path()).unwrap();
        assert_eq!(environment.get("A"), Some(("real", SettingSource::Environment)));
        assert_eq!(environment.get("B"), None, "set but blank counts as unset");
        assert_eq!(environment.get("C"), Some(("padded", SettingSource::EnvFile)));
        assert_eq!(format!("{environment:?}"), r#"Environment(["A", "B", "C"])"#);
    }

    #[test]
    fn a_broken_file_is_reported_without_its_content() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "A=1\nREG_SECRET hunter2").unwrap();
        let error = Environment::default().add_from_file(file.path()).unwrap_err().to_string();
        assert!(error.ends_with("line 2 is not NAME=value"), "{error}");
        let error = Environment::default().add_from_file(Path::new("/nowhere/.env")).unwrap_err().to_string();
        assert!(error.starts_with("read the environment file /nowhere/.env: "), "{error}");
    }
}
