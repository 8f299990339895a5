//! Checks what a reader said against the body it said it of. To check is simpler than to read: what comes
//! next is known.

use posemesh_domain_data::disposition::Disposition;
use posemesh_domain_data::multipart::BodyEnd;

use super::super::disposition;
use super::LIMITS;
use super::reading::ReadOutcome;

/// Walks through `body` along what was said.
pub fn check(boundary: &str, body: &[u8], said: &ReadOutcome) {
    let delimiter = format!("--{boundary}");
    let mut rest = body;
    for part in &said.parts {
        let line = after_blank_lines(&mut rest);
        let padding = line.strip_prefix(delimiter.as_bytes()).expect("a part begins with the boundary");
        assert!(is_padding(padding), "more than the boundary: {line:?}");
        assert_eq!(head(&mut rest), part.head);
        rest = rest.strip_prefix(part.body.as_slice()).expect("a part's bytes are the body's");
        assert!(part.whole || rest.is_empty(), "a part is not whole though there are bytes");
    }
    match said.end {
        Ok(BodyEnd::Closed) => {
            let line = after_blank_lines(&mut rest);
            let closing = format!("{delimiter}--");
            assert!(line.strip_prefix(closing.as_bytes()).is_some_and(is_padding), "closed by {line:?}");
            assert!(rest.iter().all(|byte| b" \t\r\n".contains(byte)), "{rest:?} after the end");
        }
        Ok(BodyEnd::Open) => assert!(rest.iter().all(|byte| b"\r\n".contains(byte)), "{rest:?} is no part"),
        Err(_) => {}
    }
}

/// The headers up to the empty line.
fn head(rest: &mut &[u8]) -> Disposition {
    let before = rest.len();
    let mut found = None;
    loop {
        let line = line(rest);
        if line.is_empty() {
            break;
        }
        let text = std::str::from_utf8(line).expect("a header is UTF-8");
        let (name, value) = text.split_once(':').expect("a header has a name");
        if name.to_lowercase() == "content-disposition" {
            let read = disposition::reference(value).expect("a Content-Disposition that was understood");
            assert!(found.replace(read).is_none(), "two of them were accepted");
        }
    }
    assert!(before - rest.len() <= LIMITS.header_bytes, "{} bytes of headers", before - rest.len());
    found.expect("a part has a Content-Disposition")
}

fn after_blank_lines<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let mut next = line(rest);
    for _ in 0..2 {
        if next.is_empty() {
            next = line(rest);
        }
    }
    next
}

/// The next line without its end.
fn line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_padding(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| b" \t\r".contains(byte))
}
