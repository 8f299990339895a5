//! How a line of the audit log looks.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest line in bytes; together with the number of lines it bounds the memory of the queue.
pub(super) const MAX_LINE: usize = 16 << 10;

/// One line. What every line has comes first, so that people find it.
pub(super) fn line(event: &str, number: u64, fields: Vec<(&str, Value)>) -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let pid = std::process::id();
    let mut line =
        format!("{{\"at\":\"{now}\",\"pid\":{pid},\"line\":{number},\"event\":{}", Value::from(event));
    let head = line.len();
    for (name, value) in fields {
        line.push_str(&format!(",{}:{value}", Value::from(name)));
    }
    if line.len() + 2 > MAX_LINE {
        let bytes = line.len();
        line.truncate(head);
        line.push_str(&format!(",\"too_long\":{bytes}"));
    }
    line.push_str("}\n");
    line
}
