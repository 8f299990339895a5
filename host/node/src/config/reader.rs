//! From raw to checked: every variable passes through here, which keeps trimming, masking, messages and
//! the list for `config check` the same for all of them.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::environment::{Environment, Source};
use super::problem::Problem;

/// What stands for a secret wherever values are shown.
pub const REDACTED: &str = "[redacted]";

/// One line of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Its value, fit for a terminal; secrets are masked.
    pub value: String,
    /// Who set it.
    pub source: Source,
}

/// Reads variables, and keeps what was read and what was wrong.
#[derive(Debug)]
pub struct Reader<'a> {
    environment: &'a Environment,
    settings: Vec<Setting>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Nothing read yet.
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, settings: Vec::new(), problems: Vec::new() }
    }

    /// What was read and what was wrong.
    pub fn finish(self) -> (Vec<Setting>, Vec<Problem>) {
        (self.settings, self.problems)
    }

    /// The trimmed value and its source; none if unset or blank. A value that is not UTF-8 is a problem.
    pub fn raw(&mut self, name: &'static str) -> Option<(&'a str, Source)> {
        if self.environment.is_not_utf8(name) {
            self.problem(name, None, "its value is not UTF-8 text".to_owned());
            return None;
        }
        self.environment.get(name)
    }

    /// Adds a line to the effective configuration.
    pub fn setting(&mut self, name: &'static str, value: impl Display, source: Source) {
        self.settings.push(Setting { name, value: printable(&value.to_string()), source });
    }

    /// Adds a problem. `value` must not be a secret.
    pub fn problem(&mut self, variable: &'static str, value: Option<&str>, message: String) {
        self.problems.push(Problem { variable, value: value.map(printable), message });
    }

    /// Adds a problem with a secret's value.
    pub fn secret_problem(&mut self, variable: &'static str, message: String) {
        self.problems.push(Problem { variable, value: Some(REDACTED.to_owned()), message });
    }

    /// A value of any kind. `parse` says what is wrong when it does not fit; the default stands in then,
    /// so that reading can go on.
    pub fn value<T: Display>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let (value, source) = match self.raw(name) {
            None => (default, Source::Default),
            Some((text, source)) => match parse(text) {
                Ok(value) => (value, source),
                Err(message) => {
                    self.problem(name, Some(text), message);
                    return default;
                }
            },
        };
        self.setting(name, &value, source);
        value
    }

    /// A value that may be absent; `shown` is what the effective configuration says then.
    pub fn optional<T: Display>(
        &mut self,
        name: &'static str,
        shown: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some((text, source)) = self.raw(name) else {
            self.setting(name, shown, Source::Default);
            return None;
        };
        match parse(text) {
            Ok(value) => {
                self.setting(name, &value, source);
                Some(value)
            }
            Err(message) => {
                self.problem(name, Some(text), message);
                None
            }
        }
    }

    /// A whole number in a range.
    pub fn integer<T>(&mut self, name: &'static str, default: T, allowed: RangeInclusive<T>) -> T
    where
        T: FromStr + Display + PartialOrd,
    {
        self.value(name, default, |text| {
            let span = format!("allowed: whole numbers from {} to {}", allowed.start(), allowed.end());
            let value = text.parse().map_err(|_| format!("invalid integer in {name}; {span}"))?;
            if allowed.contains(&value) { Ok(value) } else { Err(format!("out of range; {span}")) }
        })
    }

    /// Seconds in a range.
    pub fn seconds(&mut self, name: &'static str, default: u64, allowed: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.integer(name, default, allowed))
    }

    /// Milliseconds in a range.
    pub fn millis(&mut self, name: &'static str, default: u64, allowed: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.integer(name, default, allowed))
    }

    /// A ratio: finite and from 0 to 1.
    pub fn ratio(&mut self, name: &'static str, default: f64) -> f64 {
        self.value(name, default, |text| {
            let value: f64 = text.parse().map_err(|_| {
                format!("invalid float in {name}; allowed: numbers from 0 to 1, such as 0.25")
            })?;
            if (0.0..=1.0).contains(&value) {
                Ok(value)
            } else {
                Err("out of range; allowed: numbers from 0 to 1".to_owned())
            }
        })
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.value(name, default, |text| {
            text.parse().map_err(|_| format!("invalid bool in {name}; allowed: true, false"))
        })
    }

    /// One of some words, whatever their case.
    pub fn choice<T: Copy>(&mut self, name: &'static str, default: (&str, T), others: &[(&str, T)]) -> T {
        let all: Vec<_> = std::iter::once(&default).chain(others).collect();
        let word = self.value(name, default.0.to_owned(), |text| {
            let found = all.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(word, _)| (*word).to_owned()).ok_or_else(|| {
                let words: Vec<_> = all.iter().map(|(word, _)| *word).collect();
                format!("allowed: {}", words.join(", "))
            })
        });
        all.iter().find(|(known, _)| *known == word).map_or(default.1, |(_, value)| *value)
    }

    /// A path with a default; none, and a problem that ends in `help`, if there is neither.
    pub fn path(&mut self, name: &'static str, default: Option<PathBuf>, help: &str) -> Option<PathBuf> {
        let (path, source) = match self.raw(name) {
            Some((text, source)) => (Some(PathBuf::from(text)), source),
            None => (default, Source::Default),
        };
        match &path {
            Some(path) => self.setting(name, path.display(), source),
            None => self.problem(name, None, format!("required: {help}")),
        }
        path
    }

    /// An address to listen on; none switches it off.
    pub fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        self.optional(name, "off", |text| {
            text.parse().map_err(|_| "not an address; allowed: IP:PORT, such as 127.0.0.1:8080".to_owned())
        })
    }

    /// An amount of bytes: a whole number, with `KiB`, `MiB`, `GiB` or `TiB` if wanted.
    pub fn bytes(&mut self, name: &'static str, default: u64, allowed: RangeInclusive<u64>) -> u64 {
        let span = format!("allowed: {} to {}", ByteSize(*allowed.start()), ByteSize(*allowed.end()));
        self.value(name, ByteSize(default), |text| {
            let size: ByteSize = text
                .parse()
                .map_err(|()| format!("not an amount of bytes, such as 1048576 or 512MiB; {span}"))?;
            if allowed.contains(&size.0) { Ok(size) } else { Err(format!("out of range; {span}")) }
        })
        .0
    }
}

/// Bytes, written with the largest unit that divides them.
struct ByteSize(u64);

const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = UNITS.iter().find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let unit = UNITS.iter().find_map(|(name, shift)| Some((text.strip_suffix(name)?, 1_u64 << shift)));
        let (number, factor) = unit.unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_| ())?;
        number.checked_mul(factor).map(Self).ok_or(())
    }
}

/// Makes a value fit for one line of a terminal: control characters are escaped and long ones cut.
fn printable(value: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown = String::new();
    for (at, character) in value.chars().enumerate() {
        if at == LONGEST {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_bytes_are_read_and_shown_with_units() {
        for (text, bytes, shown) in [("1048576", 1 << 20, "1MiB"), ("3 GiB", 3 << 30, "3GiB"), ("7", 7, "7")]
        {
            let environment = Environment::from_iter([("SIZE", text)]);
            let mut reader = Reader::new(&environment);
            assert_eq!(reader.bytes("SIZE", 5, 0..=u64::MAX), bytes);
            assert_eq!(
                reader.finish().0.first().map(|setting| setting.value.clone()),
                Some(shown.to_owned())
            );
        }
        for text in ["1.5GiB", "-1", "99999999999TiB", "MiB", "8"] {
            let environment = Environment::from_iter([("SIZE", text)]);
            let mut reader = Reader::new(&environment);
            assert_eq!(reader.bytes("SIZE", 5, 0..=7), 5, "{text}: the default stands in");
            assert_eq!(reader.finish().1.len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_shown_stays_on_one_line() {
        assert_eq!(printable("a\nb\u{1b}[2J"), r"a\nb\u{1b}[2J");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 201);
    }
}
