#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, iter};

use futures_util::stream;

use super::*;

/// Reads a form that arrives in chunks of `size` bytes.
async fn read(body: &[u8], size: usize, limit: u64) -> Result<Vec<(PartAttributes, Vec<u8>)>, FormError> {
    let chunks = body.chunks(size).map(|chunk| Ok::<_, io::Error>(Bytes::copy_from_slice(chunk)));
    let body = stream::iter(chunks.collect::<Vec<_>>());
    let mut form = UploadForm::new(body, "multipart/form-data; boundary=XX", limit)?;
    let mut parts = Vec::new();
    while let Some(mut part) = form.next_part().await? {
        let mut bytes = Vec::new();
        while let Some(chunk) = part.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        parts.push((part.attributes, bytes));
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
        let first = PartAttributes { name: Some("a b".into()), data_type: Some("json".into()), id: None };
        let second = PartAttributes { id: Some("7".into()), ..PartAttributes::default() };
        let want = [(first, b"one\r\n--X\r\n\r\nmore".to_vec()), (second, Vec::new())];
        assert_eq!(parts, want, "in chunks of {size}");
    }
}

#[tokio::test]
async fn names_may_have_letters_of_any_language() {
    let text = String::from_utf8(BODY.to_vec()).unwrap().replace("a b", "grüße");
    let parts = read(text.as_bytes(), 5, 1 << 20).await.unwrap();
    let name = parts.first().and_then(|(attributes, _)| attributes.name.as_deref());
    assert_eq!(name, Some("grüße"));
}

#[tokio::test]
async fn a_form_that_ends_early_or_is_too_large_is_an_error() {
    let cut = read(BODY.strip_suffix(b"--XX--\r\n").unwrap(), 5, 1 << 20).await;
    assert!(matches!(cut, Err(FormError::Invalid(_))), "{cut:?}");
    let large = read(BODY, 5, 100).await;
    assert!(matches!(large, Err(FormError::TooLarge(100))), "{large:?}");
    let no_form = read(b"hello", 5, 100).await;
    assert!(no_form.is_err(), "{no_form:?}");
    let no_disposition = read(b"--XX\r\nContent-Type: a/b\r\n\r\nx\r\n--XX--\r\n", 5, 100).await;
    assert!(matches!(no_disposition, Err(FormError::Invalid(_))), "{no_disposition:?}");
}

#[tokio::test]
async fn a_body_that_is_ready_at_once_is_not_read_far_ahead() {
    let sent = AtomicUsize::new(0);
    let head = Bytes::from_static(b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n");
    let chunks = iter::once(head).chain(iter::repeat_n(Bytes::from_static(&[b'x'; 1000]), 100));
    let body = stream::iter(chunks).map(|chunk| {
        sent.fetch_add(chunk.len(), Ordering::Relaxed);
        Ok::<_, io::Error>(chunk)
    });
    let mut form = UploadForm::new(body, "multipart/form-data; boundary=XX", 1 << 20).unwrap();
    let mut part = form.next_part().await.unwrap().unwrap();
    let mut received = 0;
    for _ in 0..50 {
        received += part.chunk().await.unwrap().unwrap().len();
        let ahead = sent.load(Ordering::Relaxed) - received;
        assert!(ahead < 3000, "{ahead} bytes are in memory");
    }
}

#[tokio::test]
async fn a_body_that_arrives_late_but_at_once_is_read() {
    let late = stream::once(tokio::task::yield_now()).filter_map(|()| std::future::ready(None));
    let body = late.chain(stream::iter([Ok::<_, io::Error>(Bytes::from_static(BODY))]));
    let mut form = UploadForm::new(Box::pin(body), "multipart/form-data; boundary=XX", 1 << 20).unwrap();
    assert!(form.next_part().await.unwrap().is_some());
}

#[test]
fn boundaries_are_found_in_any_spelling() {
    for (content_type, found) in [
        ("multipart/form-data; boundary=boundary", true),
        ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", true),
        ("multipart/form-data", false),
        ("application/json; boundary=x", false),
    ] {
        let form = UploadForm::new(stream::empty::<io::Result<Bytes>>(), content_type, 100);
        assert_eq!(form.is_ok(), found, "{content_type}");
    }
}
