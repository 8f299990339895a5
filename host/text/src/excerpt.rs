//! The body of an error answer, made fit to be quoted.

/// The longest [`excerpt`], in bytes (docs/protocol.md 1.4).
pub const EXCERPT_BYTES: usize = 512;

/// Stands in place of a secret wherever values are shown.
pub const REDACTED: &str = "[redacted]";

/// Longer words are taken for tokens or signatures, in bytes.
const LONGEST_WORD: usize = 64;

/// The start of a body on one line, at most [`EXCERPT_BYTES`] long. Each of `secrets` is masked, in case the
/// server repeats what it was sent, and so is every word that is long enough to be a token.
///
/// ```
/// use posemesh_text::excerpt;
///
/// assert_eq!(excerpt(b"wrong secret:\n  hunter2", &["hunter2"]), "wrong secret: [redacted]");
/// ```
pub fn excerpt(body: &[u8], secrets: &[&str]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, REDACTED);
    }
    let mut shown = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(if word.len() > LONGEST_WORD { "[…]" } else { word });
        if shown.len() > EXCERPT_BYTES {
            break;
        }
    }
    shown.truncate(shown.floor_char_boundary(EXCERPT_BYTES));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_line_of_at_most_512_bytes_cut_between_characters() {
        assert_eq!(excerpt(b"node not found\n", &[]), "node not found");
        assert_eq!(excerpt(b"a\r\n\x1b[31mb\0c", &[]), "a [31mb c");
        // The limit falls into the second byte of a letter.
        let body = format!("a {}", "éééé ".repeat(200));
        let shown = excerpt(body.as_bytes(), &[]);
        assert!(shown.len() <= EXCERPT_BYTES && shown.len() >= EXCERPT_BYTES - 1, "{}", shown.len());
        assert_eq!(excerpt(&[0xff, b'x'], &[]), "\u{fffd}x");
    }

    #[test]
    fn secrets_and_whatever_looks_like_a_token_are_masked() {
        assert_eq!(excerpt(b"bad secret hunter2!", &["hunter2", ""]), "bad secret [redacted]!");
        let body = format!("token {} expired", "e".repeat(65));
        assert_eq!(excerpt(body.as_bytes(), &[]), "token […] expired");
    }
}
