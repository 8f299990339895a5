//! What may be shown to people: bounded, and nothing that a terminal obeys.

use serde_json::Value;

/// Panics if the text is longer than `most` bytes or has a control character.
pub(crate) fn is_showable(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes, more than {most}: {text}", text.len());
    assert!(!text.contains(char::is_control), "a control character in {text:?}");
}

/// The same for every text in a JSON value.
pub(crate) fn is_showable_throughout(value: &Value, most: usize) {
    match value {
        Value::String(text) => is_showable(text, most),
        Value::Array(values) => values.iter().for_each(|value| is_showable_throughout(value, most)),
        Value::Object(fields) => {
            for (name, value) in fields {
                is_showable(name, most);
                is_showable_throughout(value, most);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
