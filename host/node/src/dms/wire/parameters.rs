//! A task's parameters as the submitter wrote them (protocol 3.3).

use posemesh_runner_api::json_text::{JsonText, JsonTextError};
use serde_json::value::RawValue;

/// What DMS keeps in the same object: the reports of earlier attempts (protocol 3.4). A runner that accepts no
/// unknown field would fail at the second attempt.
const ADDED_BY_DMS: [&str; 2] = ["progress", "events"];

/// What the submitter's trace is called in the same object (W3C Trace Context): the node's, and no parameter.
const TRACEPARENT: &str = "traceparent";
/// The longest one that is read, in bytes: version 00 has 55.
const MAX_TRACEPARENT: usize = 256;

/// The parameters without what DMS has added, and without the trace. Everything else stays as it was written, byte for byte.
///
/// # Errors
/// When they are nested too deep.
pub(super) fn parameters(meta: &RawValue) -> Result<JsonText, JsonTextError> {
    let text = meta.get();
    let fields = object_fields(text);
    let is_kept = |field: &&&str| !is_added(field) && trace_of(field).is_none();
    let kept: Vec<&str> = fields.iter().filter(is_kept).copied().collect();
    if kept.len() == fields.len() {
        return JsonText::new(meta);
    }
    JsonText::parse(&format!("{{{}}}", kept.join(",")))
}

/// The trace that the submitter wants the task to be part of, whatever its text says.
pub(super) fn traceparent(meta: &RawValue) -> Option<String> {
    object_fields(meta.get()).into_iter().find_map(trace_of)
}

/// The trace that a field names. A field of that name with anything else in it is a parameter.
fn trace_of(field: &str) -> Option<String> {
    let (name, value) = field.split_once(':')?;
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    if value.len() > 2 * MAX_TRACEPARENT || text(name)? != TRACEPARENT {
        return None;
    }
    text(value).filter(|text| text.len() <= MAX_TRACEPARENT)
}

/// The fields of an object, each with its name and with the space around it; none if the text is no object, or
/// has no fields. The text must be JSON.
fn object_fields(text: &str) -> Vec<&str> {
    let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return Vec::new();
    };
    let mut fields = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            b',' if !in_string && depth == 0 => {
                fields.extend(inner.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.extend(inner.get(start..).filter(|field| !field.trim().is_empty()));
    fields
}

/// Whether a field is one of those that DMS adds, however its name is escaped.
fn is_added(field: &str) -> bool {
    // A reader of a sequence of values stops after the first, which is the name.
    let name = serde_json::Deserializer::from_str(field).into_iter::<String>().next();
    matches!(name, Some(Ok(name)) if ADDED_BY_DMS.contains(&name.as_str()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(meta: &str) -> String {
        parameters(serde_json::from_str(meta).unwrap()).unwrap().as_str().to_owned()
    }

    #[test]
    fn nothing_that_the_submitter_wrote_changes() {
        for meta in [
            r#"{"z": 51.248178375505404, "a": 123456789012345678901234567890, "z": 1e400, "m": -0.0 }"#,
            "{ }",
            "[{\"progress\": 1}]",
            "\"progress\"",
            r#"{"deep": {"progress": 1, "events": []}, "s": "a\",\"events\":1,{", "Progress": 2}"#,
        ] {
            assert_eq!(read(meta), meta);
        }
    }

    #[test]
    fn what_dms_added_is_gone_and_the_rest_is_as_it_was() {
        for (meta, want) in [
            (
                r#"{"b": 1.50, "progress": {"a": [1, "}"]}, "a" :2, "events": ["x,\"y"]}"#,
                r#"{"b": 1.50, "a" :2}"#,
            ),
            (r#"{"progress":{},"events":[]}"#, "{}"),
            (r#"{"ev\u0065nts": [], "k": 1e2}"#, r#"{ "k": 1e2}"#),
            (r#"{"a": 1, "tr\u0061ceparent" : "00-1-2-01"}"#, r#"{"a": 1}"#),
            (
                r#"{"traceparent": 7, "deep": {"traceparent": "x"}}"#,
                r#"{"traceparent": 7, "deep": {"traceparent": "x"}}"#,
            ),
            (r#"{"progress": 1, "progress": 2, "k": null }"#, r#"{ "k": null }"#),
        ] {
            assert_eq!(read(meta), want, "{meta}");
        }
    }

    #[test]
    fn the_trace_of_the_submitter_is_found_however_it_is_written() {
        let of = |meta: &str| traceparent(serde_json::from_str(meta).unwrap());
        assert_eq!(
            of(r#"{"a": ":", "tr\u0061ceparent" : "00-1-2-\u0030\u0031"}"#).as_deref(),
            Some("00-1-2-01")
        );
        let long = format!(r#"{{"traceparent": "{}"}}"#, "0".repeat(1000));
        for none in ["{}", "[]", "7", r#"{"traceparent": null}"#, r#"{"a": {"traceparent": "x"}}"#, &long] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_kept_fields_are_those_of_the_value(meta: std::collections::BTreeMap<String, (bool, String)>, added: bool) {
            let mut value = serde_json::to_value(&meta).unwrap();
            let object = value.as_object_mut().unwrap();
            if added {
                object.insert("events".to_owned(), serde_json::json!([{"a": "}"}]));
            }
            let text = serde_json::to_string(&value).unwrap();
            let mut want = value.clone();
            want.as_object_mut().unwrap().remove("events");
            want.as_object_mut().unwrap().remove("progress");
            let got: serde_json::Value = serde_json::from_str(&read(&text)).unwrap();
            proptest::prop_assert_eq!(got, want);
        }
    }
}
