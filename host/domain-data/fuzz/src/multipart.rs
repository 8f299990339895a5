//! What holds for the multipart reader.
//!
//! An input is text for the most part, so that a seed can be written by hand: a line that says in which
//! pieces the body arrives ([`reading::pieces`]), a line with the answer's `Content-Type`, and the body.

mod reading;
mod witness;

use posemesh_domain_data::disposition::Disposition;
use posemesh_domain_data::multipart::{BodyEnd, MultipartError, MultipartLimits, MultipartReader};

use reading::{Part, ReadOutcome, read};

/// Small, so that inputs reach them.
const LIMITS: MultipartLimits = MultipartLimits { header_bytes: 512, part_bytes: 4096, parts: 8 };

/// Everything below, for the body of `input` and for a regular body that is made of it.
pub fn holds(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (pieces, content_type, body) = (next(), next(), next());
    let boundary = boundary(content_type).unwrap_or_else(|| "B".to_owned());

    holds_for(&boundary, body, pieces);

    let parts = made_of(body);
    let whole = written(&boundary, &parts);
    let said = holds_for(&boundary, &whole, pieces);
    assert_eq!(
        said,
        ReadOutcome { parts, end: Ok(BodyEnd::Closed) },
        "a regular body is not read as what it is"
    );
}

/// Everything that can be said without knowing what the body should be.
fn holds_for(boundary: &str, body: &[u8], pieces: &[u8]) -> ReadOutcome {
    let said = read(boundary, body, b"");
    assert_eq!(read(boundary, body, pieces), said, "it matters how the bytes were cut");
    witness::check(boundary, body, &said);
    match &said.end {
        Ok(_) => a_cut_is_seen(boundary, body, &said),
        Err(MultipartError::Truncated(_)) => more_would_do(boundary, body, &said),
        Err(_) => more_changes_nothing(boundary, body, &said),
    }
    if matches!(said.end, Ok(_) | Err(MultipartError::Truncated(_))) {
        endless_headers_are_refused(boundary, body, &said);
    }
    said
}

/// The boundary of a `Content-Type`, if that is as protocol 6.2 has it; and the reader judges alike.
fn boundary(content_type: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content_type);
    let given = text.strip_prefix("multipart/form-data; boundary=").map(|given| {
        let quoted = given.len() > 1 && given.starts_with('"') && given.ends_with('"');
        if quoted { &given[1..given.len() - 1] } else { given }
    });
    let printable = |given: &&str| given.chars().all(|c| matches!(c, ' '..='~') && c != '"');
    let right = given.filter(printable).filter(|given| (1..=200).contains(&given.len()));
    let reader = MultipartReader::from_content_type(Some(&text), LIMITS);
    match right {
        None => assert!(matches!(reader, Err(MultipartError::ContentType)), "{text:?} was accepted"),
        Some(right) => {
            let mut reader = reader.expect("a regular Content-Type");
            reader.feed(format!("--{right}--").into());
            assert_eq!(reader.next_event(), Ok(None));
            assert_eq!(reader.finish(), Ok(BodyEnd::Closed), "another boundary than {right:?} was taken");
        }
    }
    right.map(str::to_owned)
}

/// A shorter body is never the same success, nor is a shorter part ever whole.
fn a_cut_is_seen(boundary: &str, body: &[u8], said: &ReadOutcome) {
    // At a dozen places, others with each length, and at the end.
    let every = body.len() / 12 + 1;
    let within = (body.len() % every..body.len()).step_by(every);
    for end in within.chain(body.len().saturating_sub(4)..body.len()) {
        let cut = read(boundary, &body[..end], b"");
        for (cut, whole) in cut.parts.iter().zip(&said.parts) {
            assert_eq!(cut.head, whole.head);
            assert!(if cut.whole { cut.body == whole.body } else { whole.body.starts_with(&cut.body) });
        }
        let lost = &body[end..];
        match cut.end {
            Ok(BodyEnd::Closed) => {
                assert!(lost.iter().all(|byte| b" \t\r\n".contains(byte)), "closed without {lost:?}");
                assert_eq!(cut.parts, said.parts);
            }
            Ok(BodyEnd::Open) => assert!(cut.parts.len() <= said.parts.len()),
            Err(MultipartError::Truncated(_)) => {}
            Err(other) => panic!("the first {end} bytes of a regular body: {other}"),
        }
    }
}

/// Only what could still become a regular body is called cut short: whoever hears it asks again.
fn more_would_do(boundary: &str, body: &[u8], said: &ReadOutcome) {
    let closing = format!("\n--{boundary}--");
    let mut completed = match said.parts.last() {
        Some(part) if !part.whole => {
            let missing = part.head.size as usize - part.body.len();
            vec![[vec![0; missing], closing.into_bytes()].concat()]
        }
        _ => (0..=closing.len()).map(|at| closing.as_bytes()[at..].to_vec()).collect(),
    };
    let line = body.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    // A whole boundary line, and no room for another part or for the line's end.
    let full = said.parts.len() >= LIMITS.parts || line.len() + 1 > boundary.len() + 2 + 64;
    let within_headers = said.end == Err(MultipartError::Truncated("within a part's headers"));
    if within_headers || full {
        return;
    }
    completed.push(written(boundary, &[Part::default()])[boundary.len() + 2..].to_vec());
    let regular =
        completed.iter().any(|more| read(boundary, &[body, more].concat(), b"").end == Ok(BodyEnd::Closed));
    assert!(regular, "nothing that could follow would make it regular");
}

/// What is irregular stays so, whatever follows.
fn more_changes_nothing(boundary: &str, body: &[u8], said: &ReadOutcome) {
    for more in ["x", "\r\n", "\n", "--", &format!("\r\n--{boundary}--\r\n")] {
        let longer = [body, more.as_bytes()].concat();
        assert_eq!(read(boundary, &longer, b""), *said, "{more:?} behind it makes a difference");
    }
}

/// Outside of bodies, which are bounded by their size, neither one line nor many go on for ever.
fn endless_headers_are_refused(boundary: &str, body: &[u8], said: &ReadOutcome) {
    let missing = said.parts.last().map_or(0, |part| part.head.size as usize - part.body.len());
    let enough = missing + LIMITS.header_bytes + boundary.len() + 2000;
    for line in [b"aaaaaaaa", b"X: yyyy\n", b"\r\n\r\n\r\n\r\n"] {
        // The rest of a body comes first.
        let more = [vec![b'a'; missing], line.repeat(enough / line.len())].concat();
        let end = read(boundary, &[body, &more].concat(), b"").end;
        let cut = matches!(end, Ok(_) | Err(MultipartError::Truncated(_)));
        assert!(!cut, "more and more is taken: {end:?}");
    }
}

/// Parts whose names and bodies are pieces of the input.
fn made_of(input: &[u8]) -> Vec<Part> {
    let mut pieces = input.split(|byte| *byte == b'|');
    let part = |piece: &[u8]| {
        let body = &piece[..piece.len().min(LIMITS.part_bytes as usize)];
        let name = String::from_utf8_lossy(&piece[..piece.len().min(40)]).replace(['\r', '\n'], "");
        let head = Disposition { name, size: body.len() as u64, ..Disposition::default() };
        Part { head, body: body.to_vec(), whole: true }
    };
    pieces.by_ref().take(LIMITS.parts).map(part).collect()
}

/// A regular body.
fn written(boundary: &str, parts: &[Part]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let name = part.head.name.replace('\\', "\\\\").replace('"', "\\\"");
        let size = part.head.size;
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; size=\"{size}\"\r\n\r\n"
        );
        body.extend([head.as_bytes(), &part.body, b"\r\n"].concat());
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    body
}
