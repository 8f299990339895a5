//! What of an error body may be seen: little, on one line, and without what looks like a secret.

/// Bytes of an excerpt at most (protocol 1.4).
pub const LONGEST: usize = 512;

/// Longer words are tokens or signatures, not words.
const LONGEST_WORD: usize = 64;

/// Makes an excerpt of the start of a body. Each of `secrets` is masked, in case the server repeats what
/// it was sent.
pub fn excerpt(body: &[u8], secrets: &[&str]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, crate::config::REDACTED);
    }
    let mut shown = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(if word.len() > LONGEST_WORD { "[…]" } else { word });
    }
    shown.truncate(shown.floor_char_boundary(LONGEST));
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
        assert!(shown.len() <= LONGEST && shown.len() >= LONGEST - 1, "{}", shown.len());
        assert_eq!(excerpt(&[0xff, b'x'], &[]), "\u{fffd}x");
    }

    #[test]
    fn secrets_and_whatever_looks_like_a_token_are_masked() {
        assert_eq!(excerpt(b"bad secret hunter2!", &["hunter2", ""]), "bad secret [redacted]!");
        let body = format!("token {} expired", "e".repeat(65));
        assert_eq!(excerpt(body.as_bytes(), &[]), "token […] expired");
    }
}
