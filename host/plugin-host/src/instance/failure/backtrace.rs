//! The frames of a backtrace. Their names are the guest's own, so they are bounded while they are formatted.

use std::fmt::{self, Write as _};

use posemesh_text::one_line;
use wasmtime::WasmBacktrace;

/// The most frames that are reported; wasmtime collects as many.
pub(super) const MAX_FRAMES: usize = 32;
/// The longest frame that is reported, in bytes.
const MAX_FRAME: usize = 400;
/// How much of a line is held before it is shortened, in bytes: a name ends in a hash that says nothing, which is
/// only seen at its end.
const MAX_HELD: usize = 2 * MAX_FRAME;

/// The frames of a backtrace, innermost first, with the names that the source has.
pub(super) fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let mut lines = FrameLines { line: String::new(), frames: Vec::new() };
    // The only error is our own: there are enough frames.
    let _ = write!(lines, "{backtrace}").and_then(|()| lines.end_line());
    lines.frames
}

/// Takes a backtrace line by line as it is formatted.
struct FrameLines {
    line: String,
    frames: Vec<String>,
}

impl FrameLines {
    fn end_line(&mut self) -> fmt::Result {
        let line = self.line.trim();
        // A frame begins with its number; the line before the first is a heading.
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            self.frames.push(one_line(without_hash(line), MAX_FRAME));
        }
        self.line.clear();
        // The error ends the formatting: an endless recursion has far more frames than anybody reads.
        if self.frames.len() < MAX_FRAMES { Ok(()) } else { Err(fmt::Error) }
    }
}

impl fmt::Write for FrameLines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '\n' {
                self.end_line()?;
            } else if self.line.len() < MAX_HELD {
                self.line.push(character);
            }
        }
        Ok(())
    }
}

/// A frame without the hash that Rust appends to its names.
fn without_hash(frame: &str) -> &str {
    match frame.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => frame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_lose_the_hash_that_says_nothing() {
        assert_eq!(without_hash("1: 0x2c85 - a.wasm!a::b::h24776d39adc9db39"), "1: 0x2c85 - a.wasm!a::b");
        assert_eq!(without_hash("1: 0x2c85 - a.wasm!a::b::hello"), "1: 0x2c85 - a.wasm!a::b::hello");
    }

    #[test]
    fn a_line_without_end_is_not_held_whole_and_frames_are_counted() {
        let mut lines = FrameLines { line: String::new(), frames: Vec::new() };
        assert!(lines.write_str("error while executing:\n  0: ").is_ok());
        (0..10_000).for_each(|_| assert!(lines.write_str("name").is_ok()));
        assert!(lines.line.len() <= MAX_HELD);
        assert!(lines.write_str("\n      at a.rs:1\n").is_ok());
        assert_eq!(lines.frames.len(), 1, "only lines that begin with a number");
        let ended = (1..100).find(|number| writeln!(lines, "{number}: f").is_err());
        assert_eq!(ended, Some(MAX_FRAMES - 1));
    }
}
