//! How long to sleep, and in which slices.

use serde::Deserialize;

/// The longest sleep that a task may ask for.
pub(crate) const MAX_MS: u64 = 600_000;
/// The sleep when neither the task nor the operator says how long.
const DEFAULT_MS: u64 = 5_000;
/// How often progress is reported.
const SLICE_MS: u64 = 200;

/// The JSON Schema of [`Meta`]; shown to people.
pub(crate) const META_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": ["object", "null"],
  "properties": {
    "sleep_ms": {
      "description": "How long to sleep. Without it, NOOP_SLEEP_SECS of the node, or 5 seconds.",
      "type": "integer", "minimum": 0, "maximum": 600000
    }
  },
  "additionalProperties": false
}"#;

/// The parameters of a task.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    sleep_ms: Option<u64>,
}

/// How long a task sleeps: what its `meta` says, else what the operator says (seconds), else 5 s.
///
/// # Errors
/// A text for `invalid-task` that says what is allowed.
pub(crate) fn duration_ms(meta: &str, operator_secs: Option<&str>) -> Result<u64, String> {
    const ALLOWED: &str = "allowed is {\"sleep_ms\": 0 to 600000} or nothing";
    let meta: Option<Meta> = serde_json::from_str(meta)
        .map_err(|error| format!("can't read the task's meta: {error}; {ALLOWED}"))?;
    if let Some(ms) = meta.unwrap_or_default().sleep_ms {
        return match ms {
            0..=MAX_MS => Ok(ms),
            _ => Err(format!("meta.sleep_ms is {ms}; {ALLOWED}")),
        };
    }
    let Some(text) = operator_secs else { return Ok(DEFAULT_MS) };
    match text.trim().parse::<f64>() {
        Ok(secs) if (0.0..=MAX_MS as f64 / 1e3).contains(&secs) => Ok((secs * 1e3).round() as u64),
        _ => Err(format!("NOOP_SLEEP_SECS of this node is `{text}`; allowed are 0 to 600 (seconds)")),
    }
}

/// A part of the sleep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// What was slept before it.
    pub done_ms: u64,
    /// How long it is.
    pub wait_ms: u64,
}

/// The slices that make up a sleep.
pub(crate) fn slices(total_ms: u64) -> impl Iterator<Item = Slice> {
    (0..total_ms)
        .step_by(SLICE_MS as usize)
        .map(move |done_ms| Slice { done_ms, wait_ms: SLICE_MS.min(total_ms - done_ms) })
}

/// The progress report after `done_ms` of `total_ms`.
pub(crate) fn progress(done_ms: u64, total_ms: u64) -> String {
    let progress = if total_ms == 0 { 1.0 } else { done_ms as f64 / total_ms as f64 };
    serde_json::json!({ "progress": progress, "stage": "sleeping" }).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_task_decides_before_the_operator_before_the_default() {
        assert_eq!(duration_ms(r#"{"sleep_ms":30}"#, Some("2")), Ok(30));
        assert_eq!(duration_ms("{}", Some("0.25")), Ok(250));
        assert_eq!(duration_ms("null", None), Ok(5_000));
    }

    #[test]
    fn a_bad_meta_is_refused_with_what_is_allowed() {
        for meta in [r#"{"sleep_ms":-1}"#, r#"{"sleep_ms":600001}"#, r#"{"sleep":1}"#, "7", "{"] {
            let reason = duration_ms(meta, None).unwrap_err();
            assert!(reason.contains("0 to 600000"), "{meta}: {reason}");
        }
        let reason = duration_ms("null", Some("soon")).unwrap_err();
        assert!(reason.contains("`soon`") && reason.contains("0 to 600"), "{reason}");
    }

    #[test]
    fn slices_add_up_to_the_whole() {
        let parts: Vec<Slice> = slices(450).collect();
        let expected = [(0, 200), (200, 200), (400, 50)];
        assert_eq!(parts, expected.map(|(done_ms, wait_ms)| Slice { done_ms, wait_ms }));
        assert_eq!(slices(0).count(), 0);
    }

    #[test]
    fn the_schema_is_json_and_names_the_limit_that_is_checked() {
        let schema: serde_json::Value = serde_json::from_str(META_SCHEMA).unwrap();
        assert_eq!(schema.pointer("/properties/sleep_ms/maximum").unwrap(), MAX_MS);
    }

    #[test]
    fn progress_ends_at_one_even_for_no_sleep() {
        assert_eq!(progress(0, 0), r#"{"progress":1.0,"stage":"sleeping"}"#);
        assert_eq!(progress(100, 400), r#"{"progress":0.25,"stage":"sleeping"}"#);
    }
}
