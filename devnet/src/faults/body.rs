//! Faults that change the body of an answer.

use std::io;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::header;
use serde_json::{Map, Value};

use crate::connection::Connection;

/// Ends the body after `limit` bytes: if `clean`, as if it were complete, so that only its content shows that
/// it is short; otherwise by closing the connection.
pub(crate) fn truncate(response: Response, limit: u64, clean: bool, connection: Connection) -> Response {
    let (mut head, body) = response.into_parts();
    if clean {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    // The head is not written yet and will count too, so the wait below may end early by its length.
    let begin = connection.written();
    let state = (body.into_data_stream(), limit, connection);
    let cut = stream::try_unfold(state, move |(mut data, left, connection)| async move {
        if left == 0 {
            if clean {
                return Ok(None);
            }
            // An error discards what is still buffered, so wait until these bytes are in the socket.
            connection.written_reaches(begin + limit).await;
            tokio::task::yield_now().await;
            connection.cut();
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        let Some(chunk) = next_chunk(&mut data).await? else { return Ok(None) };
        let taken = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let left = left - taken.len() as u64;
        Ok(Some((taken, (data, left, connection))))
    });
    Response::from_parts(head, Body::from_stream(cut))
}

/// Sends the body in chunks of at most `size` bytes with a pause before each.
pub(crate) fn drip(response: Response, size: usize, pause: Duration) -> Response {
    let (head, body) = response.into_parts();
    let state = (body.into_data_stream(), Bytes::new());
    let slow = stream::try_unfold(state, move |(mut data, mut rest)| async move {
        while rest.is_empty() {
            let Some(chunk) = next_chunk(&mut data).await? else { return Ok(None) };
            rest = chunk;
        }
        tokio::time::sleep(pause).await;
        let chunk = rest.split_to(rest.len().min(size));
        Ok::<_, io::Error>(Some((chunk, (data, rest))))
    });
    Response::from_parts(head, Body::from_stream(slow))
}

/// Replaces the body by bytes that are neither JSON nor text nor a form.
pub(crate) fn garbage(response: Response, bytes: usize) -> Response {
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    // A fixed sequence keeps failures reproducible; its first bytes are no UTF-8.
    let mut seed = 0x9E_u8;
    let garbage: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(29).wrapping_add(171);
        seed
    })
    .take(bytes)
    .collect();
    Response::from_parts(head, Body::from(garbage))
}

/// Applies a merge patch (RFC 7396) to a JSON body. A body that is not JSON stays as it is.
pub(crate) async fn merge(response: Response, patch: &Value) -> Response {
    let (mut head, body) = response.into_parts();
    // Only blobs are large, and a merge is of no use on them.
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

async fn next_chunk(data: &mut BodyDataStream) -> io::Result<Option<Bytes>> {
    data.next().await.transpose().map_err(io::Error::other)
}
