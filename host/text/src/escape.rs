//! Any value on one line.

use std::fmt::{self, Display, Write as _};

/// The mark at the end of a text that was cut.
pub(crate) const CUT_MARK: char = '…';

/// The text of `value` on one line: control characters are escaped as Rust writes them, and what is longer
/// than `max` bytes is cut between characters and ends in `…` (three bytes more).
///
/// `value` is formatted only as far as it is shown. A [`Display`] that would never end is stopped there.
pub fn one_line(value: impl Display, max: usize) -> String {
    let mut line = BoundedLine { text: String::new(), max };
    // The only error is our own: the line is full.
    if write!(line, "{value}").is_err() {
        line.text.push(CUT_MARK);
    }
    line.text
}

/// Whether a text can be shown as it is: [`one_line`] and [`escaped`] would change nothing but its length.
///
/// ```
/// assert!(posemesh_text::is_plain("scan of the hall"));
/// assert!(!posemesh_text::is_plain("scan\u{1b}[2J"));
/// ```
pub fn is_plain(text: &str) -> bool {
    !text.contains(is_unsafe)
}

/// The whole text with its control characters escaped. For text whose length is bounded already.
///
/// ```
/// assert_eq!(posemesh_text::escaped("scan\r\n").to_string(), r"scan\r\n");
/// ```
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// Writes a text with its control characters escaped; made by [`escaped`].
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if is_unsafe(character) {
                write!(f, "{}", character.escape_default())
            } else {
                f.write_char(character)
            }
        })
    }
}

/// The whole text with its control characters escaped, but for line feeds: for text of several lines, whose
/// parts of unknown origin went through [`escaped`].
///
/// ```
/// assert_eq!(posemesh_text::escaped_lines("a\r\n\u{1b}[2Jb"), "a\\r\n\\u{1b}[2Jb");
/// ```
pub fn escaped_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| escaped(line).to_string()).collect();
    lines.join("\n")
}

/// JSON text that a terminal can be given: what it could obey stands as `\uXXXX`, which JSON reads as the
/// same. Line feeds stay, for in JSON text they are outside of strings.
///
/// ```
/// assert_eq!(posemesh_text::escaped_json("\"a\u{9b}2J\u{202e}\""), r#""a\u009b2J\u202e""#);
/// ```
pub fn escaped_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) && character != '\n' {
            // All of these are in the plane that four digits name.
            safe.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A line that refuses more than it has room for, so that formatting into it stops.
struct BoundedLine {
    text: String,
    max: usize,
}

impl fmt::Write for BoundedLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let from = self.text.len();
            if is_unsafe(character) {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
            if self.text.len() > self.max {
                self.text.truncate(from);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Whether a character could move the cursor, start a line, or reorder the text around it on a terminal.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        // Bidirectional controls: they can make a line read as another one.
        || matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_text_is_cut_between_characters() {
        assert_eq!(one_line("a\r\nb\u{1b}[31m", 80), r"a\r\nb\u{1b}[31m");
        assert_eq!(one_line("ääää", 5), "ää…");
        assert_eq!(one_line("ok", 2), "ok");
        assert_eq!(one_line("\u{202e}txt.exe", 80), r"\u{202e}txt.exe");
        assert_eq!(escaped("a\nb").to_string(), r"a\nb");
    }

    #[test]
    fn a_value_whose_text_never_ends_is_formatted_no_further_than_it_is_shown() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again and ")?;
                }
            }
        }
        assert_eq!(one_line(Endless, 12), "again and ag…");
    }

    proptest! {
        #[test]
        fn lines_are_bounded_and_plain_text_is_left_alone(text in "(.|[\r\n\u{1b}\u{85}\u{2028}]){0,60}", max in 0_usize..80) {
            let line = one_line(&text, max);
            prop_assert!(line.len() <= max + CUT_MARK.len_utf8(), "{} bytes: {line:?}", line.len());
            prop_assert!(!line.contains(is_unsafe), "{line:?}");
            if text.len() <= max && !text.contains(is_unsafe) {
                prop_assert_eq!(line, text);
            }
        }
    }
}
