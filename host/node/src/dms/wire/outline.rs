//! The outline of a JSON object that is too large to be kept: its own fields, without what is nested in them.

use crate::dms::large_body::Scan;

/// The most bytes of an outline.
const LONGEST_OUTLINE: usize = 256 << 10;

/// Keeps the fields of an object that are text, numbers or words; `null` stands in for arrays and objects. Of the answer
/// to a heartbeat that is all that keeps a lease alive: the task in it may be large, and is known already.
#[derive(Debug, Default)]
pub(in crate::dms) struct Outline {
    kept: Vec<u8>,
    /// Open arrays and objects.
    depth: usize,
    in_string: bool,
    escaped: bool,
    ended: bool,
    too_long: bool,
}

impl Outline {
    /// The outline, as JSON if the object was; none if the object has not ended, or its own fields are too long.
    pub(in crate::dms) fn finish(self) -> Option<Vec<u8>> {
        (self.ended && !self.too_long).then_some(self.kept)
    }

    fn byte(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            return self.keep(byte);
        }
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                match self.depth {
                    1 => self.keep(byte),
                    2 => b"null".iter().for_each(|byte| self.push(*byte)),
                    _ => {}
                }
            }
            b'}' | b']' => {
                self.keep(byte);
                self.depth = self.depth.saturating_sub(1);
                self.ended = self.depth == 0;
            }
            _ => {
                self.in_string = byte == b'"';
                self.keep(byte);
            }
        }
    }

    /// Keeps a byte of the object itself.
    fn keep(&mut self, byte: u8) {
        if self.depth <= 1 {
            self.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        if self.kept.len() < LONGEST_OUTLINE {
            self.kept.push(byte);
        } else {
            self.too_long = true;
        }
    }
}

impl Scan for Outline {
    fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            if self.ended || self.too_long {
                return;
            }
            self.byte(*byte);
        }
    }

    fn is_over(&self) -> bool {
        self.ended || self.too_long
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn outline(json: &str) -> Option<String> {
        let mut outline = Outline::default();
        json.bytes().for_each(|byte| outline.feed(&[byte]));
        outline.finish().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_nested_is_left_out_and_the_rest_is_kept() {
        let json = r#"{"a": "x\"}{", "task": {"b": [1, "}"], "c": {}}, "list":["]"], "n": -1.5, "t": true}"#;
        let want = r#"{"a": "x\"}{", "task": null, "list":null, "n": -1.5, "t": true}"#;
        assert_eq!(outline(json).as_deref(), Some(want));
        assert_eq!(outline("{}").as_deref(), Some("{}"));
    }

    #[test]
    fn what_has_not_ended_or_is_too_long_has_no_outline() {
        assert_eq!(outline(r#"{"a": {"b": 1}, "c": 2"#), None);
        assert_eq!(outline(&format!(r#"{{"a": "{}"}}"#, "x".repeat(LONGEST_OUTLINE))), None);
        let deep = format!(r#"{{"a": {}{}, "b": 1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(outline(&deep).as_deref(), Some(r#"{"a": null, "b": 1}"#));
    }
}
