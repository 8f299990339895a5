//! Faults in the body of an answer.

use std::io;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::header;
use serde_json::{Map, Value};

use crate::conn::Conn;

/// Ends the body after `limit` bytes: cleanly, so that only its content tells that it is short, or by
/// closing the connection.
pub(crate) fn truncate(response: Response, limit: u64, clean: bool, conn: Conn) -> Response {
    let (mut head, body) = response.into_parts();
    if clean {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    let begin = conn.written();
    let state = (body.into_data_stream(), limit, conn);
    let cut = stream::try_unfold(state, move |(mut data, left, conn)| async move {
        if left == 0 {
            if clean {
                return Ok(None);
            }
            // An error discards what has not left yet, so wait until the bytes before it have.
            conn.written_reaches(begin + limit).await;
            tokio::task::yield_now().await;
            conn.cut();
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        let Some(chunk) = next(&mut data).await? else { return Ok(None) };
        let taken = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let left = left - taken.len() as u64;
        Ok(Some((taken, (data, left, conn))))
    });
    Response::from_parts(head, Body::from_stream(cut))
}

/// Sends the body in pieces of at most `size` bytes with a pause before each.
pub(crate) fn drip(response: Response, size: usize, pause: Duration) -> Response {
    let (head, body) = response.into_parts();
    let state = (body.into_data_stream(), Bytes::new());
    let slow = stream::try_unfold(state, move |(mut data, mut rest)| async move {
        while rest.is_empty() {
            let Some(chunk) = next(&mut data).await? else { return Ok(None) };
            rest = chunk;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(rest.len().min(size));
        Ok::<_, io::Error>(Some((piece, (data, rest))))
    });
    Response::from_parts(head, Body::from_stream(slow))
}

/// Puts nonsense in place of the body: neither JSON nor text nor a form.
pub(crate) fn garbage(response: Response, bytes: usize) -> Response {
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let mut seed = 0x9E_u8;
    let nonsense: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(29).wrapping_add(171);
        seed
    })
    .take(bytes)
    .collect();
    Response::from_parts(head, Body::from(nonsense))
}

/// Changes the JSON of a body (RFC 7396). A body that is no JSON stays as it is.
pub(crate) async fn merge(response: Response, patch: &Value) -> Response {
    let (mut head, body) = response.into_parts();
    // The devnet's own answers that are JSON are small, and whole at once.
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return Response::from_parts(head, Body::empty());
    };
    let Ok(mut value) = serde_json::from_slice(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    head.headers.remove(header::CONTENT_LENGTH);
    merge_into(&mut value, patch);
    Response::from_parts(head, Body::from(value.to_string()))
}

fn merge_into(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(fields) = value else { return };
    for (name, patch) in patch {
        if patch.is_null() {
            fields.remove(name);
        } else {
            merge_into(fields.entry(name.as_str()).or_insert(Value::Null), patch);
        }
    }
}

async fn next(data: &mut BodyDataStream) -> io::Result<Option<Bytes>> {
    data.next().await.transpose().map_err(io::Error::other)
}
