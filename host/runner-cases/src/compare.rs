//! Compares an artifact with the file that a case expects.

use std::io::Read as _;
use std::path::Path;

use posemesh_files::open_regular;
use serde::Deserialize;
use serde_json::Value;

/// How one artifact is compared: a value of `compare` in `task.json`.
///
/// ```
/// use posemesh_runner_cases::compare::Comparison;
///
/// let text = r#"{"kind": "json", "tolerance": 0.01, "ignore": ["/elapsed_ms"]}"#;
/// let comparison: Comparison = serde_json::from_str(text)?;
/// # let dir = tempfile::tempdir()?;
/// let (actual, expected) = (dir.path().join("actual.json"), dir.path().join("expected.json"));
/// std::fs::write(&actual, r#"{"points": 1000.5, "elapsed_ms": 12}"#)?;
/// std::fs::write(&expected, r#"{"points": 1000, "elapsed_ms": 7}"#)?;
/// assert_eq!(comparison.check(&actual, Some(&expected)), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Comparison {
    /// Byte for byte.
    Bytes,
    /// As JSON: numbers within a tolerance, some values ignored.
    Json {
        /// Largest difference of two numbers: absolute, or relative to the expected one.
        #[serde(default)]
        tolerance: f64,
        /// JSON pointers (`/elapsed_ms`) of values that only have to exist.
        #[serde(default)]
        ignore: Vec<String>,
    },
    /// The artifact exists and is not empty.
    Exists,
}

impl Comparison {
    /// Compares two files; `expected` is not needed for [`Comparison::Exists`].
    ///
    /// # Errors
    /// Every difference, in words; of very many the first.
    pub fn check(&self, actual: &Path, expected: Option<&Path>) -> Result<(), Vec<String>> {
        let differences = self.differences(actual, expected).unwrap_or_else(|what| vec![what]);
        if differences.is_empty() { Ok(()) } else { Err(differences) }
    }

    fn differences(&self, actual: &Path, expected: Option<&Path>) -> Result<Vec<String>, String> {
        let bytes = read(actual)?;
        if *self == Self::Exists {
            return if bytes.is_empty() { Err("it is empty".to_owned()) } else { Ok(Vec::new()) };
        }
        let Some(expected) = expected else {
            return Err("expected/ contains no file to compare it with".to_owned());
        };
        let wanted = read(expected)?;
        match self {
            Self::Json { tolerance, ignore } => {
                let parse = |bytes: &[u8], whose: &str| -> Result<Value, String> {
                    serde_json::from_slice(bytes)
                        .map_err(|error| format!("the {whose} file is not JSON: {error}"))
                };
                let (actual, wanted) = (parse(&bytes, "actual")?, parse(&wanted, "expected")?);
                let mut found = JsonDifferences { tolerance: *tolerance, ignore, told: Vec::new(), more: 0 };
                found.look(&actual, &wanted, "");
                Ok(found.all())
            }
            _ => Ok(same_bytes(&bytes, &wanted).err().into_iter().collect()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = open_regular(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| format!("reading {}: {error}", path.display()))
}

fn same_bytes(actual: &[u8], expected: &[u8]) -> Result<(), String> {
    if actual == expected {
        return Ok(());
    }
    let same = actual.iter().zip(expected).take_while(|(a, b)| a == b).count();
    Err(format!(
        "it differs from byte {same} on (it has {} bytes, expected {})",
        actual.len(),
        expected.len()
    ))
}

/// The most differences of one file that are told.
const MAX_TOLD: usize = 20;

/// Where two JSON values differ.
struct JsonDifferences<'a> {
    tolerance: f64,
    ignore: &'a [String],
    told: Vec<String>,
    more: usize,
}

impl JsonDifferences<'_> {
    fn all(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told
    }

    fn note(&mut self, difference: String) {
        if self.told.len() < MAX_TOLD {
            self.told.push(difference);
        } else {
            self.more += 1;
        }
    }

    fn look(&mut self, actual: &Value, expected: &Value, at: &str) {
        if self.ignore.iter().any(|pointer| pointer == at) {
            return;
        }
        let place = if at.is_empty() { "the root" } else { at };
        match (actual, expected) {
            (Value::Number(a), Value::Number(b)) => {
                let (x, y) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
                let tolerance = self.tolerance;
                // Not so either where one of them is no number.
                let is_close = (x - y).abs() <= tolerance.max(tolerance * y.abs());
                if a != b && !is_close {
                    self.note(format!("{place} is {a}, expected {b} (tolerance {tolerance})"));
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                if a.len() != b.len() {
                    self.note(format!("{place} has {} items, expected {}", a.len(), b.len()));
                }
                for (i, (a, b)) in a.iter().zip(b).enumerate() {
                    self.look(a, b, &format!("{at}/{i}"));
                }
            }
            (Value::Object(a), Value::Object(b)) => {
                for extra in a.keys().filter(|key| !b.contains_key(*key)) {
                    self.note(format!("{place} has {extra:?}, which is not expected"));
                }
                for (key, b) in b {
                    match a.get(key) {
                        Some(a) => self.look(a, b, &format!("{at}/{key}")),
                        None => self.note(format!("{place} lacks {key:?}")),
                    }
                }
            }
            (a, b) if a == b => {}
            (a, b) => self.note(format!("{place} is {a}, expected {b}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(actual: Value, expected: Value, tolerance: f64, ignore: &[String]) -> Vec<String> {
        let mut found = JsonDifferences { tolerance, ignore, told: Vec::new(), more: 0 };
        found.look(&actual, &expected, "");
        found.all()
    }

    #[test]
    fn numbers_may_differ_by_the_tolerance_and_ignored_values_by_anything() {
        let ignore = ["/ms".to_owned()];
        let expected = json!({"n": [1.0, 2.0], "ms": 5});
        let none = differences(json!({"n": [1.0005, 2], "ms": 9}), expected.clone(), 1e-3, &ignore);
        assert!(none.is_empty(), "{none:?}");
        let found = differences(json!({"n": [1.1, 3], "ms": 9}), expected, 1e-3, &ignore);
        assert_eq!(found.len(), 2, "all of them: {found:?}");
        assert!(found.iter().any(|one| one.starts_with("/n/0 is 1.1, expected 1.0")), "{found:?}");
    }

    #[test]
    fn missing_and_extra_fields_are_named() {
        let found = differences(json!({"b": 1}), json!({"a": 1}), 0.0, &[]);
        assert_eq!(found, ["the root has \"b\", which is not expected", "the root lacks \"a\""]);
    }

    #[test]
    fn of_very_many_differences_the_first_are_told() {
        let (zeros, ones) = (vec![0; 1000], vec![1; 1000]);
        let found = differences(json!(zeros), json!(ones), 0.0, &[]);
        assert_eq!(found.len(), MAX_TOLD + 1);
        assert_eq!(found.last().map(String::as_str), Some("and 980 more"));
    }

    #[test]
    fn different_bytes_are_located() {
        let error = same_bytes(b"abcd", b"abxd").unwrap_err();
        assert!(error.contains("byte 2"), "{error}");
    }
}
