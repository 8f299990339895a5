#![allow(clippy::unwrap_used)]

use futures_util::stream;

use super::*;

/// Reads a form that arrives in pieces of `size` bytes.
async fn read(body: &[u8], size: usize, limit: u64) -> Result<Vec<(PartHead, Vec<u8>)>, FormError> {
    let pieces = body.chunks(size).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)));
    let mut form = Form::new(stream::iter(pieces.collect::<Vec<_>>()), "XX", limit);
    let mut parts = Vec::new();
    while let Some(head) = form.next_part().await? {
        let mut bytes = Vec::new();
        while let Some(chunk) = form.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        parts.push((head, bytes));
    }
    Ok(parts)
}

const BODY: &[u8] = b"--XX\r\nContent-Type: application/octet-stream\r\n\
    content-disposition: form-data; name=\"a b\"; data-type=\"json\"\r\n\r\n\
    one\r\n--X\r\n\r\nmore\r\n--XX\r\nContent-Disposition: form-data; id=\"7\"\r\n\r\n\r\n--XX--\r\n";

#[tokio::test]
async fn parts_are_the_same_however_they_arrive() {
    for size in [1, 2, 3, 7, 64, 4096] {
        let parts = read(BODY, size, 1 << 20).await.unwrap();
        let first = PartHead { name: Some("a b".into()), data_type: Some("json".into()), id: None };
        let second = PartHead { id: Some("7".into()), ..PartHead::default() };
        let want = [(first, b"one\r\n--X\r\n\r\nmore".to_vec()), (second, Vec::new())];
        assert_eq!(parts, want, "in pieces of {size}");
    }
}

#[tokio::test]
async fn a_form_that_ends_early_or_is_too_large_is_an_error() {
    let cut = read(BODY.strip_suffix(b"--XX--\r\n").unwrap(), 5, 1 << 20).await;
    assert!(matches!(cut, Err(FormError::Form(_))), "{cut:?}");
    let large = read(BODY, 5, 100).await;
    assert!(matches!(large, Err(FormError::TooLarge(100))), "{large:?}");
    let no_form = read(b"hello", 5, 100).await;
    assert!(no_form.is_err(), "{no_form:?}");
}

#[test]
fn boundaries_are_found_in_any_spelling() {
    for (content_type, want) in [
        ("multipart/form-data; boundary=boundary", Some("boundary")),
        ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
        ("multipart/form-data", None),
        ("application/json; boundary=x", None),
    ] {
        assert_eq!(boundary(content_type), want, "{content_type}");
    }
}
