//! From raw to checked: every variable passes through here, which keeps trimming, masking, messages, the list for
//! `config check` and the list for the document the same for all of them.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::environment::{Environment, SettingSource};
use super::problem::Problem;
use super::secret::{FoundSecret, LARGEST_FILE, SecretError};
use super::secret_name::SecretName;
use super::variable::{Declared, ValueType, Variable};
use posemesh_net::secret::Secret;
use posemesh_text::{ByteSize, REDACTED, TimeSpan, one_line};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// How many bytes of a value are shown.
const SHOWN_BYTES: usize = 200;
/// What switches something off that may be absent.
const OFF: &str = "off";

/// One line of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Its value, fit for a terminal; secrets are masked.
    pub value: String,
    /// Where the value comes from.
    pub source: SettingSource,
    /// Whether the variable can be given this value as it is shown. A secret, words for "nothing is set" and a value
    /// that was cut or escaped can't be read back.
    pub is_input: bool,
    /// Its type in a settings file.
    #[serde(skip)]
    pub(super) kind: ValueType,
}

impl Setting {
    /// The line that a settings file has for it: `name = value`. It stands for the setting only if that is
    /// [`Setting::is_input`].
    pub fn as_toml(&self) -> String {
        let value = &self.value;
        let shown = match self.kind {
            ValueType::Integer | ValueType::Number | ValueType::Boolean => value.clone(),
            ValueType::Bytes | ValueType::Time if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                value.clone()
            }
            ValueType::List(separator) => {
                let texts: Vec<String> = value.split(separator).map(|text| quoted(text.trim())).collect();
                format!("[{}]", texts.join(", "))
            }
            ValueType::Text | ValueType::Bytes | ValueType::Time => quoted(value),
        };
        format!("{} = {shown}", self.name.to_lowercase())
    }
}

/// A text of TOML. There are no control characters in what is shown.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What is known of a secret.
#[derive(Debug)]
pub(super) enum ReadSecret {
    /// Nobody has set it.
    Unset,
    /// Its text, and where it comes from.
    Set(Secret, SettingSource),
    /// It is set and can't be used, which is reported already.
    Unusable,
}

impl ReadSecret {
    /// Whether somebody has set it, usable or not.
    pub(super) fn is_given(&self) -> bool {
        !matches!(self, Self::Unset)
    }
}

/// Reads variables, and keeps what was declared, what was read and what was wrong.
#[derive(Debug)]
pub(super) struct SettingsReader<'a> {
    environment: &'a Environment,
    declared: Vec<Declared>,
    settings: Vec<Setting>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    secrets: Vec<SecretMark>,
}

/// By what it is seen that a secret is another one: its setting, and its digest.
pub(super) type SecretMark = (&'static str, [u8; 32]);

/// The outcome of a [`SettingsReader`].
#[derive(Debug)]
pub(super) struct Readings {
    pub(super) declared: Vec<Declared>,
    pub(super) settings: Vec<Setting>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    pub(super) secrets: Vec<SecretMark>,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            declared: Vec::new(),
            settings: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// What is read.
    pub(super) fn environment(&self) -> &'a Environment {
        self.environment
    }

    pub(super) fn finish(self) -> Readings {
        let Self { declared, settings, problems, warnings, secrets, .. } = self;
        Readings { declared, settings, problems, warnings, secrets }
    }

    /// Notes for the document that there is such a setting. The typed methods below do so themselves.
    pub(super) fn declare(&mut self, variable: &Variable, default: impl Display, allowed: impl Display) {
        let (default, allowed) = (default.to_string(), allowed.to_string());
        self.declared.push(Declared { variable: variable.clone(), default, allowed });
    }

    /// The trimmed value and its source; none if unset or blank. A value that is not UTF-8 is a problem.
    pub(super) fn raw(&mut self, name: &'static str) -> Option<(&'a str, SettingSource)> {
        if self.environment.is_not_utf8(name) {
            let message = "its value is not UTF-8 text".to_owned();
            self.problems.push(Problem { variable: name.into(), value: None, message, place: None });
            return None;
        }
        self.environment.get(name)
    }

    /// Adds a line to the effective configuration. `value` must not hold a secret.
    pub(super) fn setting(&mut self, variable: &Variable, value: impl Display, source: SettingSource) {
        let given = value.to_string();
        let value = one_line(&given, SHOWN_BYTES);
        let is_input = value == given && !value.contains(REDACTED);
        self.settings.push(Setting { name: variable.name, value, source, is_input, kind: variable.kind });
    }

    /// The same in words that no variable can be given.
    pub(super) fn setting_in_words(&mut self, variable: &Variable, words: &str, source: SettingSource) {
        self.setting(variable, words, source);
        if let Some(setting) = self.settings.last_mut() {
            setting.is_input = false;
        }
    }

    /// Puts a pair right that was given the wrong way round, as the protocol does (section 4): a node that was started
    /// with one of both must not stay down for it. The effective configuration shows what counts.
    pub(super) fn in_order<T: PartialOrd>(
        &mut self,
        low: &Variable,
        high: &Variable,
        pair: [T; 2],
    ) -> [T; 2] {
        let [one, other] = pair;
        if one <= other {
            return [one, other];
        }
        for setting in &mut self.settings {
            if setting.name == low.name {
                setting.name = high.name;
            } else if setting.name == high.name {
                setting.name = low.name;
            }
        }
        [other, one]
    }

    /// Adds a problem. The value of a secret is masked, and so is one that may have a password before an `@`, or a key in a
    /// query.
    pub(super) fn problem(&mut self, variable: &Variable, value: Option<&str>, message: String) {
        let value = value.map(|value| match variable.secret || value.contains(['@', '?']) {
            true => REDACTED.to_owned(),
            false => one_line(value, SHOWN_BYTES),
        });
        let place = self.environment.place(variable.name);
        self.problems.push(Problem { variable: variable.name.into(), value, message, place });
    }

    /// A secret: its own variable, the file that `NAME_FILE` names, or a credential of systemd. Both variables are
    /// declared, and what is wrong with where it comes from is a problem; its value is left to the caller.
    pub(super) fn secret(
        &mut self,
        names: SecretName,
        variable: &Variable,
        allowed: impl Display,
    ) -> ReadSecret {
        self.declare(variable, "none", allowed);
        let meaning = format!("A file with `{}` in it, in one line, instead of the variable.", names.name);
        let in_file =
            Variable { default_in_words: None, secret: false, meaning: meaning.into(), ..variable.clone() };
        let in_file = Variable { name: names.file, ..in_file };
        self.declare(&in_file, "none", format!("the path of a regular file of at most {LARGEST_FILE} bytes"));
        let not_text =
            [names.name, names.file].into_iter().filter(|name| self.environment.is_not_utf8(name)).count();
        if not_text > 0 {
            // Says so.
            let _ = (self.raw(names.name), self.raw(names.file));
            return ReadSecret::Unusable;
        }
        match self.environment.secret(names) {
            Ok(None) => ReadSecret::Unset,
            Ok(Some(FoundSecret { text, source, file, warning })) => {
                if let Some((path, source)) = file {
                    self.setting(&in_file, path.display(), source);
                }
                self.warnings.extend(warning);
                self.mark_secret(names.name, text.expose());
                ReadSecret::Set(text, source)
            }
            Err(SecretError { variable, path, message }) => {
                let place = self.environment.place(variable);
                self.problems.push(Problem { variable: variable.into(), value: path, message, place });
                ReadSecret::Unusable
            }
        }
    }

    /// Remembers what a value that is not shown as it is was.
    pub(super) fn mark_secret(&mut self, name: &'static str, text: &str) {
        self.secrets.push((name, Sha256::digest(text).into()));
    }

    /// A value of any kind. `parse` reports what is wrong when it does not fit; the default stands in then,
    /// so that reading can go on.
    pub(super) fn value<T: Display>(
        &mut self,
        variable: &Variable,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        self.declare(variable, &default, allowed);
        let (value, source) = match self.raw(variable.name) {
            None => (default, SettingSource::Default),
            Some((text, source)) => match parse(text) {
                Ok(value) => (value, source),
                Err(message) => {
                    self.problem(variable, Some(text), message);
                    return default;
                }
            },
        };
        self.setting(variable, &value, source);
        value
    }

    /// Notes what is no mistake, and should be known.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// A value that may be absent; `unset` is what the effective configuration shows then. If that is `off`, it can be
    /// given as well.
    pub(super) fn optional<T: Display>(
        &mut self,
        variable: &Variable,
        unset: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.declare(variable, unset, allowed);
        let Some((text, source)) = self.raw(variable.name) else {
            match unset {
                OFF => self.setting(variable, unset, SettingSource::Default),
                words => self.setting_in_words(variable, words, SettingSource::Default),
            }
            return None;
        };
        if [unset, text] == [OFF; 2] {
            self.setting(variable, text, source);
            return None;
        }
        match parse(text) {
            Ok(value) => {
                self.setting(variable, &value, source);
                Some(value)
            }
            Err(message) => {
                self.problem(variable, Some(text), message);
                None
            }
        }
    }

    /// A whole number in a range.
    pub(super) fn integer<T>(&mut self, variable: &Variable, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + Display + PartialOrd,
    {
        self.number(variable, ValueType::Integer, default, range, |text| text.parse().ok())
    }

    fn number<T>(
        &mut self,
        variable: &Variable,
        kind: ValueType,
        default: T,
        range: RangeInclusive<T>,
        read: impl Fn(&str) -> Option<T>,
    ) -> T
    where
        T: Display + PartialOrd,
    {
        let allowed = format!("whole numbers from {} to {}", range.start(), range.end());
        self.value(&variable.clone().of_type(kind), default, &allowed, |text| {
            let name = variable.name;
            let value = read(text).ok_or_else(|| format!("invalid integer in {name}; allowed: {allowed}"))?;
            if range.contains(&value) { Ok(value) } else { Err(out_of_range(&allowed)) }
        })
    }

    /// Seconds in a range; with a unit (`10min`) if wanted.
    pub(super) fn seconds(
        &mut self,
        variable: &Variable,
        default: Duration,
        range: RangeInclusive<u64>,
    ) -> Duration {
        let read = |text: &str| match text.parse() {
            Ok(seconds) => Some(seconds),
            // What is left of a second would be lost.
            Err(_) => text.parse().ok().and_then(|TimeSpan(ms)| ms.is_multiple_of(1000).then_some(ms / 1000)),
        };
        Duration::from_secs(self.number(variable, ValueType::Time, default.as_secs(), range, read))
    }

    /// Milliseconds in a range; with a unit (`2s`) if wanted.
    pub(super) fn millis(
        &mut self,
        variable: &Variable,
        default: Duration,
        range: RangeInclusive<u64>,
    ) -> Duration {
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        let read = |text: &str| text.parse().ok().map(|TimeSpan(ms)| ms);
        Duration::from_millis(self.number(variable, ValueType::Time, default, range, read))
    }

    /// A ratio: finite and from 0 to 1.
    pub(super) fn ratio(&mut self, variable: &Variable, default: f64) -> f64 {
        const ALLOWED: &str = "numbers from 0 to 1";
        self.value(&variable.clone().of_type(ValueType::Number), default, ALLOWED, |text| {
            let name = variable.name;
            let value: f64 = text
                .parse()
                .map_err(|_| format!("invalid float in {name}; allowed: {ALLOWED}, such as 0.25"))?;
            if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(out_of_range(ALLOWED)) }
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, variable: &Variable, default: bool) -> bool {
        const ALLOWED: &str = "true, false";
        self.value(&variable.clone().of_type(ValueType::Boolean), default, ALLOWED, |text| {
            text.parse().map_err(|_| format!("invalid bool in {}; allowed: {ALLOWED}", variable.name))
        })
    }

    /// One of some words, whatever their case.
    pub(super) fn choice<T: Copy + PartialEq>(
        &mut self,
        variable: &Variable,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let allowed = words.join(", ");
        let default_word = choices.iter().find(|(_, choice)| *choice == default).map_or("", |(word, _)| word);
        let chosen = self.value(variable, default_word, &allowed, |text| {
            let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            found.copied().ok_or_else(|| format!("allowed: {allowed}"))
        });
        choices.iter().find(|(word, _)| *word == chosen).map_or(default, |(_, choice)| *choice)
    }

    /// A path with a default; none, and a problem that ends in `help`, if there is neither.
    pub(super) fn path(
        &mut self,
        variable: &Variable,
        default: Option<PathBuf>,
        help: &str,
    ) -> Option<PathBuf> {
        let shown = default.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        self.declare(variable, shown, "a path");
        let (path, source) = match self.raw(variable.name) {
            Some((text, source)) => (Some(PathBuf::from(text)), source),
            None => (default, SettingSource::Default),
        };
        match &path {
            Some(path) => self.setting(variable, path.display(), source),
            None => self.problem(variable, None, format!("required: {help}")),
        }
        path
    }

    /// An address to listen on; none switches it off.
    pub(super) fn address(&mut self, variable: &Variable) -> Option<SocketAddr> {
        const ALLOWED: &str = "IP:PORT, such as 127.0.0.1:8080, or `off`";
        self.optional(variable, OFF, ALLOWED, |text| {
            text.parse().map_err(|_| format!("not an address; allowed: {ALLOWED}"))
        })
    }

    /// An amount of bytes: a whole number, with `KiB`, `MiB`, `GiB` or `TiB` if wanted.
    pub(super) fn bytes(&mut self, variable: &Variable, default: u64, range: RangeInclusive<u64>) -> u64 {
        let allowed = format!("{} to {}", ByteSize(*range.start()), ByteSize(*range.end()));
        let variable = variable.clone().of_type(ValueType::Bytes);
        let size = self.value(&variable, ByteSize(default), &allowed, |text| {
            let size: ByteSize = text.parse().map_err(|error| format!("{error}; allowed: {allowed}"))?;
            if range.contains(&size.0) { Ok(size) } else { Err(out_of_range(&allowed)) }
        });
        size.0
    }

    /// Text that goes into headers and bodies as it is.
    pub(super) fn printable_ascii(&mut self, variable: &Variable, default: String) -> String {
        const ALLOWED: &str = "at most 128 printable ASCII characters";
        self.value(variable, default, ALLOWED, |text| {
            if text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
                Ok(text.to_owned())
            } else {
                Err(format!("allowed: {ALLOWED}"))
            }
        })
    }
}

fn out_of_range(allowed: &str) -> String {
    format!("out of range; allowed: {allowed}")
}

#[cfg(test)]
mod tests;
