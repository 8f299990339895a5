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
    /// The first difference, in words.
    pub fn check(&self, actual: &Path, expected: Option<&Path>) -> Result<(), String> {
        let bytes = read(actual)?;
        if *self == Self::Exists {
            return if bytes.is_empty() { Err("it is empty".to_owned()) } else { Ok(()) };
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
                same_json(&actual, &wanted, "", *tolerance, ignore)
            }
            _ => same_bytes(&bytes, &wanted),
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

fn same_json(
    actual: &Value,
    expected: &Value,
    at: &str,
    tolerance: f64,
    ignore: &[String],
) -> Result<(), String> {
    if ignore.iter().any(|pointer| pointer == at) {
        return Ok(());
    }
    let place = if at.is_empty() { "the root" } else { at };
    match (actual, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (x, y) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            if a == b || (x - y).abs() <= tolerance.max(tolerance * y.abs()) {
                return Ok(());
            }
            Err(format!("{place} is {a}, expected {b} (tolerance {tolerance})"))
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Err(format!("{place} has {} items, expected {}", a.len(), b.len()));
            }
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.try_for_each(|(i, (a, b))| same_json(a, b, &format!("{at}/{i}"), tolerance, ignore))
        }
        (Value::Object(a), Value::Object(b)) => {
            if let Some(extra) = a.keys().find(|key| !b.contains_key(*key)) {
                return Err(format!("{place} has {extra:?}, which is not expected"));
            }
            b.iter().try_for_each(|(key, b)| match a.get(key) {
                Some(a) => same_json(a, b, &format!("{at}/{key}"), tolerance, ignore),
                None => Err(format!("{place} lacks {key:?}")),
            })
        }
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!("{place} is {a}, expected {b}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_differ_by_the_tolerance_and_ignored_values_by_anything() {
        let ignore = ["/ms".to_owned()];
        let expected = json!({"n": [1.0, 2.0], "ms": 5});
        same_json(&json!({"n": [1.0005, 2], "ms": 9}), &expected, "", 1e-3, &ignore).unwrap();
        let error = same_json(&json!({"n": [1.1, 2], "ms": 9}), &expected, "", 1e-3, &ignore).unwrap_err();
        assert!(error.starts_with("/n/0 is 1.1, expected 1.0"), "{error}");
    }

    #[test]
    fn missing_and_extra_fields_are_named() {
        let error = same_json(&json!({}), &json!({"a": 1}), "", 0.0, &[]).unwrap_err();
        assert_eq!(error, "the root lacks \"a\"");
        let error = same_json(&json!({"b": 1}), &json!({}), "", 0.0, &[]).unwrap_err();
        assert_eq!(error, "the root has \"b\", which is not expected");
    }

    #[test]
    fn different_bytes_are_located() {
        let error = same_bytes(b"abcd", b"abxd").unwrap_err();
        assert!(error.contains("byte 2"), "{error}");
    }
}
