//! Reads the JSON of servers.
//!
//! Serde's own messages quote the value that did not fit, which may be a token. The errors here name the
//! field and what belongs there, never what came. As everywhere in the protocol, unknown fields are ignored;
//! a field that may be absent is an [`Option`], for which `null` is the same as absent.

mod error;
mod fields;

use std::fmt;

use serde::de::{self, DeserializeOwned, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use error::describe;

pub use error::JsonError;
pub use fields::Fields;

/// Reads a body that is a JSON object.
///
/// ```
/// use posemesh_net::json::{JsonError, from_body};
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Answer {
///     job_id: uuid::Uuid,
/// }
///
/// let error = from_body::<Answer>(br#"{"job_id": 7}"#).unwrap_err();
/// assert_eq!(error.to_string(), "the field `job_id` of the answer is not a formatted UUID string");
/// let error = from_body::<Answer>(b"{}").unwrap_err();
/// assert_eq!(error, JsonError::Missing("job_id".into()));
/// ```
///
/// # Errors
/// When it is not JSON, not an object, or a field is missing or holds something else.
pub fn from_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    from_value(parse(body)?)
}

/// Reads a body as far as that it is a JSON object, for callers that look at it more than once.
///
/// # Errors
/// When it is not JSON or not an object.
pub fn parse(body: &[u8]) -> Result<Value, JsonError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Value::Object(object)),
        Ok(_) => Err(JsonError::NotAnObject),
        // Only the position: serde's own text might quote the body, and a body may hold a token.
        Err(error) => Err(JsonError::Syntax { line: error.line(), column: error.column() }),
    }
}

/// Reads a JSON object. Of a field that stands there twice the last counts.
///
/// # Errors
/// When a field is missing or holds something else.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    // Serde alone does not name the field of a value of the wrong type, only the type.
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        describe(&path, &error.inner().to_string())
    })
}

/// A moment in an answer, in the form of RFC 3339.
///
/// ```
/// use posemesh_net::json::{Timestamp, from_body};
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Answer {
///     expires_at: Timestamp,
/// }
///
/// let answer: Answer = from_body(br#"{"expires_at": "1970-01-01T00:01:00Z"}"#)?;
/// assert_eq!(answer.expires_at.0.unix_timestamp(), 60);
/// let error = from_body::<Answer>(br#"{"expires_at": "tomorrow"}"#).unwrap_err();
/// assert_eq!(error.to_string(), "the field `expires_at` of the answer is not an RFC 3339 timestamp");
/// # Ok::<(), posemesh_net::json::JsonError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub OffsetDateTime);

/// Written out so that the error says what belongs there; the derived one quotes the format's description.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimestampVisitor;

        impl Visitor<'_> for TimestampVisitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 timestamp")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let moment = OffsetDateTime::parse(text, &Rfc3339);
                moment.map(Timestamp).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(TimestampVisitor)
    }
}

/// For `#[serde(default, deserialize_with = "lenient")]`: a field that is for information only. One that does
/// not fit counts as absent, since nothing depends on it.
///
/// # Errors
/// Never, for JSON that has been parsed.
pub fn lenient<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    // Parsed as any JSON first, so that the reader is past the whole value even if it does not fit.
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// For `#[serde(default, deserialize_with = "blank_is_absent")]`: a field that may be absent, and for which blank
/// text is the same as absent.
///
/// # Errors
/// When it is neither absent nor what belongs there.
pub fn blank_is_absent<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let value = Value::deserialize(deserializer)?;
    if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::secret::Secret;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        id: Uuid,
    }

    #[derive(Debug, Deserialize)]
    struct Answer {
        inner: Option<Inner>,
        flag: Option<bool>,
        token: Option<Secret>,
        #[serde(default, deserialize_with = "lenient")]
        note: Option<String>,
    }

    fn error(body: &str) -> JsonError {
        from_body::<Answer>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn null_is_missing_and_unknown_fields_are_ignored() {
        let body = br#"{"inner": null, "flag": null, "note": 5, "new": {}}"#;
        let answer: Answer = from_body(body).unwrap();
        assert!(answer.inner.is_none() && answer.flag.is_none() && answer.token.is_none());
        let whole: Answer =
            from_body(br#"{"inner": {"id": "67e55044-10b1-426f-9247-bb680e5fe0c8"}}"#).unwrap();
        assert_eq!(whole.inner.unwrap().id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(answer.note, None, "what is for information only may be anything");
        assert_eq!(error(r#"{"inner": {}}"#), JsonError::Missing("inner.id".to_owned()));
        assert_eq!(error(r#"{"inner": {"id": null}}"#), JsonError::Missing("inner.id".to_owned()));
    }

    #[test]
    fn errors_name_the_field_and_what_belongs_there_but_never_what_came() {
        for (body, field) in [
            (r#"{"flag": "hunter2"}"#, "flag"),
            (r#"{"flag": "hunter2, expected hunter2"}"#, "flag"),
            (r#"{"token": ["hunter2"]}"#, "token"),
            (r#"{"inner": {"id": "hunter2"}}"#, "inner.id"),
            (r#"{"inner": "hunter2"}"#, "inner"),
        ] {
            let error = error(body);
            assert!(matches!(&error, JsonError::Invalid { field: named, .. } if named == field), "{error:?}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = error(r#"{"flag": 1}"#);
        assert_eq!(error.to_string(), "the field `flag` of the answer is not a boolean");
    }

    #[test]
    fn bodies_that_are_no_object_are_told_apart() {
        assert_eq!(error("[]"), JsonError::NotAnObject);
        assert_eq!(error(""), JsonError::Syntax { line: 1, column: 0 });
        let deep = "[".repeat(100_000);
        assert!(matches!(error(&deep), JsonError::Syntax { .. }));
    }
}
