//! Reading the JSON of servers by hand-picked fields.
//!
//! Serde's own messages quote the value that did not fit, which may be a token; these name the field and
//! what belongs there, never what came. As everywhere in the protocol, `null` is the same as a missing
//! field and unknown fields are ignored.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;
use uuid::Uuid;

use crate::secret::Secret;

/// Why an answer is not what the protocol says. Holds nothing of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It does not parse.
    #[error("the answer is not JSON (line {line}, column {column})")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error("the answer is not a JSON object")]
    NotAnObject,
    /// A required field is missing or null.
    #[error("the answer lacks the field `{0}`")]
    Missing(&'static str),
    /// A field holds something else.
    #[error("the field `{field}` of the answer is not {expected}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
}

/// A JSON object whose fields are taken out one by one.
#[derive(Clone, Default)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Parses a body.
    ///
    /// # Errors
    /// When it is not JSON or not an object.
    pub fn parse(body: &[u8]) -> Result<Self, JsonError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(_) => Err(JsonError::NotAnObject),
            Err(error) => Err(JsonError::Syntax { line: error.line(), column: error.column() }),
        }
    }

    /// Takes a field; none if it is missing or null.
    ///
    /// # Errors
    /// When it is there and no `T`.
    pub fn take<T: Field>(&mut self, field: &'static str) -> Result<Option<T>, JsonError> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                T::from_value(value).map(Some).ok_or(JsonError::Invalid { field, expected: T::EXPECTED })
            }
        }
    }

    /// Takes a field that has to be there.
    ///
    /// # Errors
    /// When it is missing, null or no `T`.
    pub fn require<T: Field>(&mut self, field: &'static str) -> Result<T, JsonError> {
        self.take(field)?.ok_or(JsonError::Missing(field))
    }

    /// Takes a field that is for information only: one that does not fit counts as missing.
    pub fn take_lenient<T: Field>(&mut self, field: &'static str) -> Option<T> {
        self.take(field).ok().flatten()
    }
}

/// What a field can hold.
pub trait Field: Sized {
    /// In words, with an article.
    const EXPECTED: &'static str;

    /// Reads it; none if it does not fit.
    fn from_value(value: Value) -> Option<Self>;
}

impl Field for Value {
    const EXPECTED: &'static str = "JSON";

    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl Field for Object {
    const EXPECTED: &'static str = "an object";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }
}

impl Field for String {
    const EXPECTED: &'static str = "a string";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Field for Secret {
    const EXPECTED: &'static str = "a non-empty string";

    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).filter(|text| !text.is_empty()).map(Self::new)
    }
}

impl Field for Vec<String> {
    const EXPECTED: &'static str = "an array of strings";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(String::from_value).collect(),
            _ => None,
        }
    }
}

impl Field for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Field for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn from_value(value: Value) -> Option<Self> {
        value.as_u64().and_then(|number| number.try_into().ok())
    }
}

impl Field for i64 {
    const EXPECTED: &'static str = "a whole number";

    fn from_value(value: Value) -> Option<Self> {
        value.as_i64()
    }
}

impl Field for Uuid {
    const EXPECTED: &'static str = "a UUID";

    fn from_value(value: Value) -> Option<Self> {
        Self::parse_str(value.as_str()?).ok()
    }
}

impl Field for OffsetDateTime {
    const EXPECTED: &'static str = "an RFC 3339 timestamp";

    fn from_value(value: Value) -> Option<Self> {
        Self::parse(value.as_str()?, &Rfc3339).ok()
    }
}

impl Field for Url {
    const EXPECTED: &'static str = "an absolute URL";

    fn from_value(value: Value) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn null_is_missing_and_errors_name_the_field_but_never_the_value() {
        let mut object = Object::parse(br#"{"a": null, "b": "hunter2", "c": {"d": "hunter2"}}"#).unwrap();
        assert_eq!(object.take::<bool>("a"), Ok(None));
        assert_eq!(object.require::<bool>("zz"), Err(JsonError::Missing("zz")));
        let error = object.require::<Uuid>("b").unwrap_err();
        assert_eq!(error.to_string(), "the field `b` of the answer is not a UUID");
        assert_eq!(object.require::<Object>("c").unwrap().require::<String>("d").unwrap(), "hunter2");
    }

    #[test]
    fn bodies_that_are_no_object_are_told_apart() {
        assert_eq!(Object::parse(b"[]").err(), Some(JsonError::NotAnObject));
        assert_eq!(Object::parse(b"").err(), Some(JsonError::Syntax { line: 1, column: 0 }));
        let deep = "[".repeat(100_000);
        assert!(matches!(Object::parse(deep.as_bytes()).err(), Some(JsonError::Syntax { .. })));
    }
}
