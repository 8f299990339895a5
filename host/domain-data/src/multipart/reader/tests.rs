#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::disposition::DispositionError;

const LIMITS: MultipartLimits = MultipartLimits { header_bytes: 1000, part_bytes: 1 << 20, parts: 10 };

type Parts = Vec<(Disposition, Vec<u8>)>;

/// Reads a body that arrives in pieces of these sizes (the last one repeats): the parts, and how it ended.
fn read(body: &[u8], pieces: &[usize]) -> Result<(Parts, BodyEnd), MultipartError> {
    let mut reader = MultipartReader::new("B", LIMITS);
    let (mut parts, mut whole, mut rest) = (Vec::new(), true, body);
    let mut pieces = pieces.iter().copied().chain(std::iter::repeat(pieces.last().copied().unwrap_or(1)));
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces.next().unwrap().clamp(1, rest.len()));
        rest = after;
        reader.feed(Bytes::copy_from_slice(piece));
        while let Some(event) = reader.next_event()? {
            match event {
                MultipartEvent::Part(head) => {
                    assert!(std::mem::replace(&mut whole, false), "a part began inside another");
                    parts.push((head, Vec::new()));
                }
                MultipartEvent::Data(bytes) => {
                    assert!(!bytes.is_empty(), "data events are never empty");
                    parts.last_mut().unwrap().1.extend_from_slice(&bytes);
                }
                MultipartEvent::PartEnd => whole = true,
            }
        }
    }
    let ending = reader.finish()?;
    assert!(whole, "a regular end left a part open");
    Ok((parts, ending))
}

fn part(id: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "--B\r\nContent-Disposition: form-data; id=\"{id}\"; size=\"{}\"\r\nContent-Type: x/y\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body, b"\r\n"].concat()
}

fn whole(bodies: &[&[u8]]) -> Vec<u8> {
    let mut all: Vec<u8> =
        bodies.iter().enumerate().flat_map(|(n, body)| part(&n.to_string(), body)).collect();
    all.extend_from_slice(b"--B--\r\n");
    all
}

fn failure(body: &[u8]) -> MultipartError {
    let at_once = read(body, &[body.len()]).expect_err("an error");
    assert_eq!(read(body, &[1]).expect_err("an error"), at_once, "byte by byte it should fail alike");
    at_once
}

#[test]
fn a_body_may_look_like_a_boundary() {
    let tricky: &[&[u8]] =
        &[b"\r\n--B--\r\n", b"", b"--B\r\nContent-Disposition: form-data; size=9\r\n\r\n", b"\r\n\r\n"];
    let (parts, ending) = read(&whole(tricky), &[7]).unwrap();
    assert_eq!(parts.iter().map(|(_, body)| body.as_slice()).collect::<Vec<_>>(), tricky);
    assert_eq!(ending, BodyEnd::Closed);
}

#[test]
fn bare_line_feeds_padding_and_header_case_are_accepted() {
    let body = b"\r\n--B \t\ncontent-DISPOSITION:form-data;size=2;id=x\n\nab--B\r\nX: y\r\nContent-Disposition: form-data; size=0\r\n\r\n--B-- ";
    let (parts, ending) = read(body, &[3]).unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!((parts[0].0.id.as_str(), parts[0].1.as_slice()), ("x", b"ab".as_slice()));
    assert_eq!(ending, BodyEnd::Closed);
}

#[test]
fn a_cut_at_any_byte_is_never_a_shorter_success() {
    let bodies: &[&[u8]] = &[b"first\r\n--B--\r\n", b"2"];
    let all = whole(bodies);
    let last_body_end = all.len() - b"\r\n--B--\r\n".len();
    for end in 0..all.len() {
        let outcome = read(&all[..end], &[5]);
        match outcome {
            Ok((_, BodyEnd::Closed)) => assert!(end >= all.len() - 2, "closed after {end} of {}", all.len()),
            // At the end of a part: whoever asked knows whether parts are missing.
            Ok((parts, BodyEnd::Open)) => {
                for ((_, body), want) in parts.iter().zip(bodies) {
                    assert_eq!(body, want, "cut at {end}");
                }
                assert!(parts.len() < 2 || end >= last_body_end);
            }
            Err(MultipartError::Truncated(_)) => {}
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
}

#[test]
fn irregularities_are_told_apart() {
    use MultipartError as E;
    let head = "--B\r\nContent-Disposition: form-data; ";
    for (body, want) in [
        (String::new(), E::Truncated("before or within a boundary")),
        ("--B".into(), E::Truncated("before or within a boundary")),
        ("--B \r".into(), E::Truncated("before or within a boundary")),
        ("--B-".into(), E::Truncated("before or within a boundary")),
        ("\r".into(), E::Truncated("before or within a boundary")),
        ("\r\n\r".into(), E::Truncated("before or within a boundary")),
        ("\r\n\r\n\r".into(), E::WrongBoundary),
        ("--C\r\n".into(), E::WrongBoundary),
        ("--BB\r\n".into(), E::WrongBoundary),
        ("--BB".into(), E::WrongBoundary),
        ("--B-x".into(), E::WrongBoundary),
        ("{\"error\":1}".into(), E::WrongBoundary),
        ("x".repeat(500), E::WrongBoundary),
        ("--B\r\nContent-Type: a/b\r\n\r\n".into(), E::MissingDisposition),
        (format!("{head}id=1\r\n\r\n"), E::Disposition(DispositionError::MissingSize)),
        (format!("{head}size=x\r\n\r\n"), E::Disposition(DispositionError::BadSize)),
        (format!("{head}size=1048577\r\n\r\n"), E::PartTooLarge { size: 1_048_577, limit: 1 << 20 }),
        (format!("{head}size=1\r\nContent-Disposition: form-data; size=2\r\n\r\n"), E::Header),
        ("--B\r\nno colon\r\n\r\n".into(), E::Header),
        (format!("--B\r\nX: {}\r\n\r\n", "y".repeat(1000)), E::HeaderTooLong(1000)),
        (format!("--B\r\n{}\r\n", "X: y\r\n".repeat(200)), E::HeaderTooLong(1000)),
        (format!("{head}size=1\r\n\r\nab\r\n--B--\r\n"), E::ExtraBytes("a part")),
        (format!("{head}size=1\r\n\r\na{}", "b".repeat(500)), E::ExtraBytes("a part")),
        (format!("{head}size=0\r\n\r\n\r\n--B--\r\nmore"), E::ExtraBytes("the last part")),
        (format!("{head}size=0\r\n\r\n\r\n--B--\r\nmore\r\n"), E::ExtraBytes("the last part")),
        (format!("{head}size=0\r\n\r\n\r\n--B--{}", "\r\n".repeat(600)), E::ExtraBytes("the last part")),
        ("--B\r\nContent-Disposition: form-data; size=0\r\n\r\n\r\n".repeat(11), E::TooManyParts(10)),
    ] {
        assert_eq!(failure(body.as_bytes()), want, "{body:.80}");
    }
    assert_eq!(failure(b"--B\r\nX: \xff\r\n\r\n"), E::Header);
}

#[test]
fn the_content_type_has_to_be_the_protocols() {
    let accepted = |text| MultipartReader::from_content_type(text, LIMITS).map(|reader| reader.delimiter);
    assert_eq!(accepted(Some("multipart/form-data; boundary=a b")), Ok(b"--a b".to_vec()));
    assert_eq!(accepted(Some("multipart/form-data; boundary=\"a\"")), Ok(b"--a".to_vec()));
    for other in [
        "multipart/mixed; boundary=a",
        "application/json",
        "multipart/form-data;boundary=a",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"",
    ] {
        assert_eq!(accepted(Some(other)), Err(MultipartError::ContentType), "{other}");
    }
    assert_eq!(accepted(None), Err(MultipartError::ContentType));
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_parts(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
        pieces in proptest::collection::vec(1_usize..80, 1..20),
    ) {
        let slices: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let (parts, ending) = read(&whole(&slices), &pieces).unwrap();
        prop_assert_eq!(ending, BodyEnd::Closed);
        prop_assert_eq!(parts.into_iter().map(|(_, body)| body).collect::<Vec<_>>(), bodies);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        noise in "(--B|--|\r\n|Content-Disposition: form-data; size=[0-9]{1,4}|: |[a-z]{0,9}|\n){0,30}",
        pieces in proptest::collection::vec(1_usize..20, 1..5),
    ) {
        prop_assert_eq!(read(noise.as_bytes(), &pieces), read(noise.as_bytes(), &[noise.len().max(1)]));
    }
}
