//! `posemesh-node.toml`: the settings in one file, each by a key that is its name in lower case.
//!
//! The file is read against the declarations of the settings, which say what types their values have. Whatever is wrong
//! with a key is one problem among all the others; nothing of a value is quoted, since it may be a secret.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use posemesh_files::open_regular;
use posemesh_text::one_line;
use toml::de::{DeArray, DeTable, DeValue};
use zeroize::Zeroizing;

use super::nearest::nearest;
use super::problem::Problem;
use super::variable::{Declared, ValueType};

/// The file that is read from the working directory unless another one is named.
pub(super) const DEFAULT_NAME: &str = "posemesh-node.toml";
/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;
/// How much of a path, a key or a reason is shown.
const SHOWN_BYTES: usize = 400;
/// Permissions of everybody on the machine to read or write.
const EVERYBODY: u32 = 0o006;
/// How many wrong keys are told: a file with more is another program's.
const MOST_PROBLEMS: usize = 100;
/// The permission of everybody to write.
const EVERYBODY_WRITES: u32 = 0o002;

/// Why a settings file was not read. Quotes no value of it.
#[derive(Debug, thiserror::Error)]
#[error("read the settings file {}: {what}", one_line(path.display(), SHOWN_BYTES))]
pub struct SettingsFileError {
    path: PathBuf,
    what: String,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    pub(super) entries: Vec<Entry>,
    /// What is wrong with single keys.
    pub(super) problems: Vec<Problem>,
    /// What others could do with the file.
    pub(super) warning: Option<String>,
}

/// A setting that the file has.
pub(super) struct Entry {
    /// The variable, and other spellings of it that count as well.
    pub(super) names: Vec<&'static str>,
    /// Its value as the variable would have it.
    pub(super) value: Zeroizing<String>,
    pub(super) line: usize,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("names", &self.names).field("line", &self.line).finish_non_exhaustive()
    }
}

/// Reads a file whose keys are those of the declared settings.
///
/// # Errors
/// When it can't be read, is no regular file, is too large, or is not TOML.
pub(super) fn read(path: &Path, declared: &[Declared]) -> Result<SettingsFile, SettingsFileError> {
    let fail = |what: String| SettingsFileError { path: path.to_owned(), what };
    let (text, mode) = read_text(path).map_err(fail)?;
    let (entries, problems) = parse(&text, &place(path), declared).map_err(fail)?;
    let is_secret = |entry: &Entry| {
        let with_password = |declared: &Declared| {
            declared.variable.secret
                && (!declared.variable.name.to_ascii_uppercase().ends_with("_PROXY")
                    || entry.value.contains('@'))
        };
        declared.iter().any(|one| entry.names.contains(&one.variable.name) && with_password(one))
    };
    let secret = entries.iter().find(|entry| is_secret(entry)).and_then(|entry| entry.names.first());
    Ok(SettingsFile { warning: warning(path, mode, secret), path: path.to_owned(), entries, problems })
}

/// How a file is named in front of a line.
fn place(path: &Path) -> String {
    one_line(path.display(), SHOWN_BYTES)
}

/// A warning only, as with the files of secrets: those of containers are commonly readable by everybody in them.
fn warning(path: &Path, mode: u32, secret: Option<&&'static str>) -> Option<String> {
    let (path, shown) = (place(path), mode & 0o777);
    match secret {
        Some(name) if mode & EVERYBODY != 0 => Some(format!(
            "{path}: it has {}, and every user of this machine may read or write it (mode {shown:03o}); `chmod o-rw` it",
            name.to_lowercase()
        )),
        _ if mode & EVERYBODY_WRITES != 0 => Some(format!(
            "{path}: every user of this machine may write the settings of the node (mode {shown:03o}); `chmod o-w` it"
        )),
        _ => None,
    }
}

fn read_text(path: &Path) -> Result<(Zeroizing<String>, u32), String> {
    let words = |error: io::Error| error.to_string();
    // Waits for nobody, whatever lies there.
    let file = open_regular(path).map_err(words)?;
    let mode = file.metadata().map_err(words)?.permissions().mode();
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let text = str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        format!("line {} is not UTF-8", 1 + before.iter().filter(|byte| **byte == b'\n').count())
    })?;
    Ok((Zeroizing::new(text.to_owned()), mode))
}

type Parsed = (Vec<Entry>, Vec<Problem>);

fn parse(text: &str, place: &str, declared: &[Declared]) -> Result<Parsed, String> {
    let line_of = |at: usize| 1 + text.get(..at).unwrap_or(text).matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        // The message alone: what the error prints shows the line.
        let what = one_line(error.message(), SHOWN_BYTES);
        match error.span() {
            Some(span) => format!("line {}: {what}", line_of(span.start)),
            None => what,
        }
    })?;
    let keys: Vec<&'static str> = declared.iter().map(|one| one.variable.name).collect();
    // The table has them by name.
    let mut found: Vec<_> =
        table.get_ref().iter().map(|(key, value)| (key.span().start, key, value)).collect();
    found.sort_by_key(|(at, ..)| *at);
    let (mut entries, mut problems) = Parsed::default();
    for (at, key, value) in found {
        if problems.len() >= MOST_PROBLEMS {
            return Err(format!(
                "line {}: {MOST_PROBLEMS} keys before it are wrong; is this the settings file of a node?",
                line_of(at)
            ));
        }
        let line = line_of(at);
        match read_key(key.get_ref(), value.get_ref(), declared, &keys) {
            Ok((names, value)) => entries.push(Entry { names, value, line }),
            Err((key, message)) => problems.push(Problem {
                variable: one_line(key, SHOWN_BYTES).into(),
                value: None,
                message,
                place: Some(format!("{place} line {line}")),
            }),
        }
    }
    Ok((entries, problems))
}

type Read = (Vec<&'static str>, Zeroizing<String>);

/// The variables that a key stands for, and its value as they would have it; else the key, and what is wrong with it.
fn read_key<'k>(
    key: &'k str,
    value: &DeValue<'_>,
    declared: &[Declared],
    keys: &[&'static str],
) -> Result<Read, (&'k str, String)> {
    let meant = |one: &&Declared| one.variable.name.eq_ignore_ascii_case(key);
    let is_key = !key.contains(|c: char| c.is_ascii_uppercase());
    let Some(first) = declared.iter().find(meant).filter(|_| is_key) else {
        let hint = match (nearest(key, keys), value) {
            (Some((name, distance)), _) if distance <= (key.len() / 3).max(2) => {
                format!("is {} meant?", name.to_lowercase())
            }
            (_, DeValue::Table(_)) => {
                "there are no tables: each setting is a key of its own, its variable in lower case".to_owned()
            }
            _ => "keys are the variables of docs/configuration.md in lower case".to_owned(),
        };
        return Err((key, format!("there is no such setting; {hint}")));
    };
    let kind = first.variable.kind;
    let text = as_text(value, kind).ok_or_else(|| {
        let allowed = &first.allowed;
        (key, format!("it is {}, and takes {}; allowed: {allowed}", type_name(value), kind.in_words()))
    })?;
    if text.contains('\0') {
        return Err((key, "the value has a zero byte".to_owned()));
    }
    let names = declared.iter().filter(meant).map(|one| one.variable.name).collect();
    Ok((names, text))
}

/// A value in the words of a variable; none if it is of another type.
fn as_text(value: &DeValue<'_>, kind: ValueType) -> Option<Zeroizing<String>> {
    let text = match (value, kind) {
        (
            DeValue::String(text),
            ValueType::Text | ValueType::Bytes | ValueType::Time | ValueType::List(_),
        ) => text.to_string(),
        (
            DeValue::Integer(number),
            ValueType::Integer | ValueType::Bytes | ValueType::Time | ValueType::Number,
        ) => {
            match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => number.to_string(),
                // Out of every range, which is said where the range is known.
                Err(_) => number.as_str().to_owned(),
            }
        }
        (DeValue::Float(number), ValueType::Number) => number.as_str().to_owned(),
        (DeValue::Boolean(is), ValueType::Boolean) => is.to_string(),
        (DeValue::Array(values), ValueType::List(separator)) => joined(values, separator)?,
        _ => return None,
    };
    Some(Zeroizing::new(text))
}

fn joined(values: &DeArray<'_>, separator: char) -> Option<String> {
    let texts = values.iter().map(|value| value.get_ref().as_str().filter(|text| !text.contains(separator)));
    let texts: Option<Vec<&str>> = texts.collect();
    Some(texts?.join(&separator.to_string()))
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
