//! Text that keeps its lines, cut to a length.

use std::borrow::Cow;

use crate::escape::CUT_MARK;

/// At most `max` bytes of a text, cut between characters; one that was cut ends in `…`, which counts.
///
/// Line breaks and control characters stay: use it for text that travels as JSON, and
/// [`one_line`](crate::one_line) for what is shown.
///
/// ```
/// assert_eq!(posemesh_text::shorten("a reason", 80), "a reason");
/// assert_eq!(posemesh_text::shorten("a reason", 6), "a r…");
/// ```
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max.saturating_sub(CUT_MARK.len_utf8()));
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    if short.len() + CUT_MARK.len_utf8() <= max {
        short.push(CUT_MARK);
    }
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_counts_and_no_character_is_split() {
        assert_eq!(shorten("ééé", 6), "ééé");
        assert_eq!(shorten("éééé", 7), "éé…");
        assert_eq!(shorten("éééé", 2), "", "there is no room for the mark");
        assert_eq!(shorten("a\nb", 3), "a\nb");
    }
}
