//! JSON that is passed on as it was written: digits, order of fields, spaces and all.
//!
//! A value that is parsed and written again is another text: `51.248178375505404` may lose a digit, an integer
//! above 64 bits becomes a float, fields change their order and one that stands twice is gone.

mod plain;

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::json_text::plain::Plain;

/// How deep JSON may be nested: what the usual parsers of runners still read.
const MAX_DEPTH: usize = 127;

/// The text of one JSON value, exactly as its author wrote it. Two texts are equal if every byte is.
///
/// ```
/// use posemesh_runner_api::json_text::JsonText;
///
/// let meta = JsonText::parse(r#"{"z": 51.248178375505404, "a": 123456789012345678901234567890}"#)?;
/// assert_eq!(meta.as_str(), r#"{"z": 51.248178375505404, "a": 123456789012345678901234567890}"#);
/// assert!(JsonText::parse("{").is_err());
/// assert!(JsonText::default().is_null());
/// # Ok::<(), posemesh_runner_api::json_text::JsonTextError>(())
/// ```
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

/// Why a text is not taken. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonTextError {
    /// It does not parse.
    #[error("not JSON (line {line}, column {column})")]
    Syntax {
        /// The line of the first error, from 1.
        line: usize,
        /// The column in that line.
        column: usize,
    },
    /// A runner's parser might run out of stack.
    #[error("JSON that is nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

impl JsonText {
    /// Takes a text that is one JSON value; space around it is dropped.
    ///
    /// # Errors
    /// When it is not JSON, or nested too deep.
    pub fn parse(text: &str) -> Result<Self, JsonTextError> {
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| JsonTextError::Syntax { line: error.line(), column: error.column() })?;
        Self::new(raw)
    }

    /// Takes a text that every parser reads, since it is sent to one that is not ours: beyond the grammar, no number
    /// is larger than a float can be and no string has half of a character. Needs no memory but the text's own.
    ///
    /// # Errors
    /// When it is not such JSON, or nested too deep.
    pub fn parse_plain(text: &str) -> Result<Self, JsonTextError> {
        let taken = Self::parse(text)?;
        let plain: Result<Plain, _> = serde_json::from_str(text);
        plain.map_err(|error| JsonTextError::Syntax { line: error.line(), column: error.column() })?;
        Ok(taken)
    }

    /// `{}`.
    pub fn empty_object() -> Self {
        Self::from(Value::Object(serde_json::Map::new()))
    }

    /// Takes JSON that has been checked already.
    ///
    /// # Errors
    /// When it is nested too deep.
    pub fn new(raw: &RawValue) -> Result<Self, JsonTextError> {
        if depth(raw.get()) > MAX_DEPTH { Err(JsonTextError::TooDeep) } else { Ok(Self(raw.to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `null`, which stands for no value at all.
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }
}

impl Default for JsonText {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// For values that the node or a test makes itself: written in the usual form, without spaces.
impl From<Value> for JsonText {
    fn from(value: Value) -> Self {
        // Writing a `Value` does not fail: its keys are text and its numbers are finite.
        to_raw_value(&value).map(Self).unwrap_or_default()
    }
}

/// Only a reader of JSON text can hand the text on; another one hands on what it makes of it.
impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&Box::<RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// How deep arrays and objects are nested in a text that is JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_submitter_wrote_stays_as_it_was_written() {
        for text in [
            "51.248178375505404",
            "1e400",
            "-0.0",
            "123456789012345678901234567890",
            r#"{ "z" : 1.0, "a" : [ 1e2 ] , "z" : "\u00fc\/" }"#,
            r#""\ud800""#,
        ] {
            assert_eq!(JsonText::parse(text).unwrap().as_str(), text);
            let wrapped = format!(r#"{{"meta":{text}}}"#);
            let read: std::collections::BTreeMap<String, JsonText> = serde_json::from_str(&wrapped).unwrap();
            assert_eq!(read.get("meta").unwrap().as_str(), text);
            assert_eq!(serde_json::to_string(&read).unwrap(), wrapped);
        }
        assert_eq!(JsonText::from(json!({"a": [1, null]})).as_str(), r#"{"a":[1,null]}"#);
    }

    #[test]
    fn what_other_parsers_may_refuse_is_not_plain() {
        for text in [r#""\ud800""#, r#"{"\udc00":1}"#, "1e400", "[[-1e999]]"] {
            assert!(matches!(JsonText::parse_plain(text), Err(JsonTextError::Syntax { .. })), "{text}");
        }
        for text in [
            r#"{ "z": 1.50, "a": [123456789012345678901234567890, "\ud83d\ude00"], "z": null }"#,
            "true",
            "-0",
        ] {
            assert_eq!(JsonText::parse_plain(text).unwrap().as_str(), text);
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(JsonText::parse_plain(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(JsonText::parse_plain(&nested(MAX_DEPTH + 1)), Err(JsonTextError::TooDeep));
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_not_taken() {
        for text in ["", "{", "[1,]", "{} {}", "NaN", "'a'"] {
            assert!(matches!(JsonText::parse(text), Err(JsonTextError::Syntax { .. })), "{text}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(JsonText::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(JsonText::parse(&nested(MAX_DEPTH + 1)), Err(JsonTextError::TooDeep));
        assert_eq!(JsonText::parse(&nested(1_000_000)), Err(JsonTextError::TooDeep), "no stack is needed");
        assert!(serde_json::from_str::<JsonText>(&nested(MAX_DEPTH + 1)).is_err());
        let quoted = format!(r#"["{}","\"{{"]"#, "[".repeat(1000));
        assert!(JsonText::parse(&quoted).is_ok(), "brackets in strings nest nothing");
    }
}
