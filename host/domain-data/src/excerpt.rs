/// The start of a text of unknown origin: at most `max` bytes of it, on one line, control characters
/// escaped.
pub fn excerpt(text: &str, max: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let from = out.len();
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
        if out.len() > max {
            out.truncate(from);
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt("a\r\nb\u{1b}[31m", 80), "a\\r\\nb\\u{1b}[31m");
        assert_eq!(excerpt("ääää", 5), "ää…");
        assert_eq!(excerpt("ok", 2), "ok");
    }

    proptest! {
        #[test]
        fn excerpts_are_bounded_and_leave_plain_text_alone(text in "(.|[\r\n\u{1b}\u{85}]){0,60}", max in 0_usize..80) {
            let short = excerpt(&text, max);
            prop_assert!(short.len() <= max + "…".len(), "{} bytes: {short:?}", short.len());
            prop_assert!(!short.contains(char::is_control), "{short:?}");
            if text.len() <= max && !text.contains(char::is_control) {
                prop_assert_eq!(short, text);
            }
        }
    }
}
