//! How long to sleep, and in which slices.

use serde::Deserialize;
use serde_json::Value;

/// The longest sleep that a task may ask for.
pub(crate) const MAX_MS: u64 = 600_000;
/// The sleep when neither the task nor the operator says how long.
const DEFAULT_MS: u64 = 5_000;
/// How often progress is reported.
const SLICE_MS: u64 = 200;

/// The JSON Schema of [`Params`]; shown to people.
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

/// The parameters of a task, as they are written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    sleep_ms: Option<Value>,
}

/// The parameters of a task.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Option<Meta>")]
pub(crate) struct Params {
    sleep_ms: Option<u64>,
}

impl TryFrom<Option<Meta>> for Params {
    type Error = String;

    fn try_from(meta: Option<Meta>) -> Result<Self, String> {
        let Some(value) = meta.unwrap_or_default().sleep_ms else { return Ok(Self { sleep_ms: None }) };
        match value.as_u64() {
            Some(ms @ 0..=MAX_MS) => Ok(Self { sleep_ms: Some(ms) }),
            _ => Err(format!("sleep_ms is {value}; allowed are 0 to {MAX_MS} (milliseconds)")),
        }
    }
}

impl Params {
    /// How long a task sleeps: what it says, else what the operator says (seconds), else 5 s.
    ///
    /// # Errors
    /// A text that says what is wrong with the operator's word.
    pub(crate) fn duration_ms(&self, operator_secs: Option<&str>) -> Result<u64, String> {
        if let Some(ms) = self.sleep_ms {
            return Ok(ms);
        }
        let Some(text) = operator_secs else { return Ok(DEFAULT_MS) };
        match text.trim().parse::<f64>() {
            Ok(secs) if (0.0..=MAX_MS as f64 / 1e3).contains(&secs) => Ok((secs * 1e3).round() as u64),
            _ => Err(format!("NOOP_SLEEP_SECS of this node is `{text}`; allowed are 0 to 600 (seconds)")),
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn params(meta: &str) -> Result<Params, String> {
        serde_json::from_str(meta).map_err(|error| error.to_string())
    }

    #[test]
    fn the_task_decides_before_the_operator_before_the_default() {
        assert_eq!(params(r#"{"sleep_ms":30}"#).unwrap().duration_ms(Some("2")), Ok(30));
        assert_eq!(params("{}").unwrap().duration_ms(Some("0.25")), Ok(250));
        assert_eq!(params("null").unwrap().duration_ms(None), Ok(5_000));
    }

    #[test]
    fn bad_parameters_are_refused_with_what_is_allowed() {
        for (meta, said) in [
            (r#"{"sleep_ms":-1}"#, "-1; allowed are 0 to 600000"),
            (r#"{"sleep_ms":600001}"#, "600001; allowed are 0 to 600000"),
            (r#"{"sleep_ms":"long"}"#, "\"long\"; allowed are 0 to 600000"),
            (r#"{"sleep":1}"#, "expected `sleep_ms`"),
        ] {
            let reason = params(meta).unwrap_err();
            assert!(reason.contains(said), "{meta}: {reason}");
        }
        let reason = params("null").unwrap().duration_ms(Some("soon")).unwrap_err();
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
}
