//! The two forms of a log line, and lines that do not come from whoever logs.

use posemesh_text::escaped;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people, in colour on a terminal.
    Text,
}

/// A line of the log's own, with its line break, in the form of all others.
pub(super) fn line(
    format: LogFormat,
    level: &'static str,
    target: &'static str,
    message: &str,
    fields: Map<String, Value>,
) -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    match format {
        LogFormat::Json => {
            let mut line = json!({"timestamp": now, "level": level, "message": message, "target": target});
            if let Value::Object(line) = &mut line {
                line.extend(fields);
            }
            format!("{line}\n")
        }
        LogFormat::Text => {
            let shown = |(name, value): (&String, &Value)| match value {
                Value::String(text) => format!(" {name}={}", escaped(text)),
                other => format!(" {name}={other}"),
            };
            let fields: String = fields.iter().map(shown).collect();
            format!("{now} {level:>5} {target}: {}{fields}\n", escaped(message))
        }
    }
}
