//! Puts the effects of faults into effect, before and after a request is acted on.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::faults::body;
use crate::faults::fault::FaultEffect;

/// Applies what comes before the request is acted on. An answer means that it is not acted on at all. The
/// order is that of the faults, so that a delay can come before an answer.
pub(crate) async fn before(effects: &[FaultEffect], stop: &CancellationToken) -> Option<Response> {
    for effect in effects {
        match effect {
            FaultEffect::DelayBefore(delay) => pause(*delay, stop).await,
            // Any answer will do: `drops` sees to it that it is never sent.
            FaultEffect::DropBefore => return Some(StatusCode::NO_CONTENT.into_response()),
            FaultEffect::Answer { status, content_type, body } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Some((status, [(header::CONTENT_TYPE, *content_type)], body.clone()).into_response());
            }
            _ => {}
        }
    }
    None
}

/// Applies what comes between acting on the request and answering it.
pub(crate) async fn after(
    effects: &[FaultEffect],
    mut response: Response,
    connection: &Connection,
    stop: &CancellationToken,
) -> Response {
    for effect in effects {
        match effect {
            FaultEffect::DelayAfter(delay) => pause(*delay, stop).await,
            FaultEffect::Truncate { after, clean } => {
                response = body::truncate(response, *after, *clean, connection.clone());
            }
            FaultEffect::Drip { chunk, pause } => response = body::drip(response, *chunk, *pause),
            FaultEffect::Garbage { bytes } => response = body::garbage(response, *bytes),
            FaultEffect::Merge(patch) => response = body::merge(response, patch).await,
            _ => {}
        }
    }
    response
}

/// Sets headers, whatever the answer has become.
pub(crate) fn set_headers(effects: &[FaultEffect], response: &mut Response) {
    for effect in effects {
        if let FaultEffect::Header { name, value } = effect {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

/// Whether the connection is to be closed instead of answering.
pub(crate) fn drops(effects: &[FaultEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, FaultEffect::DropBefore | FaultEffect::DropAfter))
}

/// Sleeps, but not beyond the shutdown of the devnet.
async fn pause(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = stop.cancelled() => {}
    }
}
