//! Faults in the body of an answer.

use std::io;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::header;

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

async fn next(data: &mut BodyDataStream) -> io::Result<Option<Bytes>> {
    data.next().await.transpose().map_err(io::Error::other)
}
