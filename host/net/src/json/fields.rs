//! The fields of a JSON object, each read by a rule of its own.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{JsonError, describe};

/// The fields of a JSON object, as they were written. Of a field that stands there twice the last counts.
///
/// Reading field by field lets a caller be strict about what it needs and liberal about the rest. A field that may
/// be missing is missing as well when it is `null` or blank text: servers in other languages write what they don't
/// have in either way.
///
/// ```
/// use posemesh_net::json::Fields;
///
/// let fields = Fields::of_body(br#"{"id": 7, "label": "", "note": [1.50], "count": "many"}"#)?;
/// assert_eq!(fields.required::<u32>("id")?, 7);
/// assert_eq!(fields.optional::<String>("label")?, None);
/// assert_eq!(fields.raw("note").map(|raw| raw.get()), Some("[1.50]"));
/// assert!(fields.optional::<u32>("count").is_err());
/// assert_eq!(fields.lenient::<u32>("count"), None);
/// # Ok::<(), posemesh_net::json::JsonError>(())
/// ```
#[derive(Debug)]
pub struct Fields<'a> {
    /// Where the object stands in the answer, with a dot at its end; empty for the answer itself.
    prefix: String,
    fields: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The fields of a body that is a JSON object.
    ///
    /// # Errors
    /// When it is not JSON or not an object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, JsonError> {
        // Only the position: serde's own text might quote the body, and a body may hold a token.
        let raw: &RawValue = serde_json::from_slice(body)
            .map_err(|error| JsonError::Syntax { line: error.line(), column: error.column() })?;
        Self::of(String::new(), raw).ok_or(JsonError::NotAnObject)
    }

    fn of(prefix: String, raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().map(|fields| Self { prefix, fields })
    }

    /// The text of a field; none if it is missing or `null`.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.get(name).copied().filter(|raw| raw.get() != "null")
    }

    /// A field that has to be there.
    ///
    /// # Errors
    /// When it is missing, `null` or something else.
    pub fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T, JsonError> {
        match self.raw(name) {
            Some(raw) => self.decode(name, raw),
            None => Err(JsonError::Missing(self.path(name))),
        }
    }

    /// A field that may be missing, `null` or blank text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, JsonError> {
        match self.raw(name).filter(|raw| !is_blank(raw)) {
            Some(raw) => self.decode(name, raw).map(Some),
            None => Ok(None),
        }
    }

    /// A field that nothing depends on: one that does not fit counts as missing.
    pub fn lenient<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.optional(name).ok().flatten()
    }

    /// The fields of a field that is an object, and may be missing, `null` or blank text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&self, name: &str) -> Result<Option<Self>, JsonError> {
        let Some(raw) = self.raw(name).filter(|raw| !is_blank(raw)) else { return Ok(None) };
        match Self::of(format!("{}.", self.path(name)), raw) {
            Some(fields) => Ok(Some(fields)),
            None => Err(self.invalid(name, "a JSON object")),
        }
    }

    /// The error for a field that holds something else than what is `expected` (with an article).
    pub fn invalid(&self, name: &str, expected: impl Into<String>) -> JsonError {
        JsonError::Invalid { field: self.path(name), expected: expected.into() }
    }

    fn decode<T: DeserializeOwned>(&self, name: &str, raw: &RawValue) -> Result<T, JsonError> {
        // By way of a `Value`, whose errors are without a position in a text that the reader never sees.
        let value: Value = serde_json::from_str(raw.get())
            .map_err(|_| self.invalid(name, "JSON of usual depth, with numbers of usual size"))?;
        serde_path_to_error::deserialize(value).map_err(|error| {
            let inner = error.path().to_string();
            let mut path = self.path(name);
            if inner != "." {
                let separator = if inner.starts_with('[') { "" } else { "." };
                path = format!("{path}{separator}{inner}");
            }
            describe(&path, &error.inner().to_string())
        })
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn is_blank(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
        && serde_json::from_str(raw.get()).is_ok_and(|text: String| text.trim().is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn null_and_blank_text_are_missing() {
        for body in [r#"{}"#, r#"{"a": null}"#, r#"{"a": ""}"#, r#"{"a": " \t\n"}"#, r#"{"a": "\u0020"}"#] {
            let fields = Fields::of_body(body.as_bytes()).unwrap();
            assert_eq!(fields.optional::<Secret>("a").unwrap(), None, "{body}");
            assert_eq!(fields.optional::<Uuid>("a").unwrap(), None, "{body}");
            assert!(fields.object("a").unwrap().is_none(), "{body}");
        }
        let fields = Fields::of_body(br#"{"a": null}"#).unwrap();
        assert_eq!(fields.required::<Uuid>("a").unwrap_err(), JsonError::Missing("a".into()));
    }

    #[test]
    fn errors_name_the_path_and_quote_nothing() {
        let body = br#"{"inner": {"id": "hunter2", "list": ["a", 7]}, "flat": "hunter2"}"#;
        let fields = Fields::of_body(body).unwrap();
        let inner = fields.object("inner").unwrap().unwrap();
        let errors = [
            inner.required::<Uuid>("id").unwrap_err(),
            inner.optional::<Vec<String>>("list").unwrap_err(),
            inner.required::<u32>("gone").unwrap_err(),
            fields.object("flat").unwrap_err(),
        ];
        let texts = errors.map(|error| error.to_string());
        assert!(texts.iter().all(|text| !text.contains("hunter2")), "{texts:?}");
        assert_eq!(texts[1], "the field `inner.list[1]` of the answer is not a string");
        assert_eq!(texts[2], "the answer lacks the field `inner.gone`");
        assert_eq!(texts[3], "the field `flat` of the answer is not a JSON object");
        assert!(texts[0].starts_with("the field `inner.id` of the answer is not "), "{}", texts[0]);
    }

    #[test]
    fn what_is_not_read_may_be_anything_and_the_last_of_two_counts() {
        let deep =
            format!(r#"{{"x": 1e999, "y": {}{}, "a": 1, "a": 2}}"#, "[".repeat(9999), "]".repeat(9999));
        let fields = Fields::of_body(deep.as_bytes()).unwrap();
        assert_eq!(fields.required::<u32>("a").unwrap(), 2);
        assert_eq!(fields.raw("x").unwrap().get(), "1e999");
        assert_eq!(fields.lenient::<f64>("x"), None);
        assert!(matches!(Fields::of_body(b"{} x"), Err(JsonError::Syntax { .. })));
        assert!(matches!(Fields::of_body(b"\"a\""), Err(JsonError::NotAnObject)));
    }
}
