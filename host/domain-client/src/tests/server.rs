//! The answers of a domain server.

use std::time::Duration;

use posemesh_http_mock::{MockServer, RecordedRequest, Reply};
use serde_json::{Value, json};

use crate::tests::{A, B, DOMAIN};

/// The content type of a download.
pub(super) const FORM: &str = "multipart/form-data; boundary=B";

/// Time for requests to overlap that can.
pub(super) const SHORTLY: Duration = Duration::from_millis(20);

/// Method and the part of the path after the domain, as in `PUT /data/multipart?uploadId=U`.
pub(super) fn line(request: &RecordedRequest) -> String {
    let rest = request.target.split(DOMAIN).last().unwrap();
    format!("{} {rest}", request.method)
}

pub(super) fn lines(mock: &MockServer) -> Vec<String> {
    mock.requests().iter().map(line).collect()
}

/// The most parts of upload sessions that were in flight at the same time.
pub(super) fn most_parts_in_flight(mock: &MockServer) -> usize {
    mock.most_at_once(|request| request.target.contains("partNumber"))
}

/// A download with this body.
pub(super) fn form(body: Vec<u8>) -> Reply {
    Reply::bytes(FORM, body)
}

/// A download that sends these bytes and is then cut, or stalls.
pub(super) fn broken(start: &[u8], cut: bool) -> Reply {
    if cut { Reply::cut(FORM, start.to_vec()) } else { Reply::stalled(FORM, start.to_vec()) }
}

/// One part as the server writes it, with a line end but no closing boundary.
pub(super) fn part(id: &str, body: &[u8]) -> Vec<u8> {
    part_changed(id, body, "2026-01-02T03:04:05Z")
}

pub(super) fn part_changed(id: &str, body: &[u8], at: &str) -> Vec<u8> {
    let head = format!(
        "--B\r\nContent-Disposition: form-data; name=\"scan\"; data-type=\"ply\"; id=\"{id}\"; \
         domain-id=\"{DOMAIN}\"; size=\"{}\"; updated-at=\"{at}\"\r\nContent-Type: x/y\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body, b"\r\n"].concat()
}

pub(super) fn whole(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--B--\r\n".to_vec()].concat()
}

/// What an ordinary server says to uploads: sessions with parts of this size, nothing there yet.
pub(super) fn ordinary(request: &RecordedRequest, request_max_bytes: i64, part_size: Value) -> Reply {
    let line = line(request);
    let query = line.split_once('?').map_or("", |(_, query)| query);
    match (request.method.as_str(), query) {
        ("GET", _) if line.ends_with("/api/v1/info") => Reply::json(
            &json!({"upload": {"request_max_bytes": request_max_bytes, "multipart": {"enabled": true}, "more": 1}}),
        ),
        ("GET", _) => Reply::json(&json!({"data": []})),
        ("POST", "uploads") => {
            Reply::json(&json!({"upload_id": "u/1", "part_size": part_size, "expires_at": "x"}))
        }
        ("PUT", query) if query.contains("partNumber=") => {
            Reply::json(&json!({"etag": format!("etag-{}", query.rsplit('=').next().unwrap())}))
        }
        ("POST", query) if query.starts_with("uploadId=") => Reply::json(&json!({"id": B})),
        ("POST" | "PUT", _) => Reply::json(&json!({"data": [{"id": A, "domain_id": DOMAIN}]})),
        _ => Reply::status(200),
    }
}
