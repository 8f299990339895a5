//! `GET /api/events`: what `/api/status` answers, again every two seconds, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::answer::error;
use super::overview::Overview;
use super::sources::StatusSources;
use super::streams::STREAMS;

/// The time between two events.
const INTERVAL: Duration = Duration::from_secs(2);

struct Stream {
    sources: StatusSources,
    next: Instant,
    /// Given back when the client goes.
    _place: OwnedSemaphorePermit,
}

pub(super) async fn answer(State(sources): State<StatusSources>) -> Response {
    let Some(place) = sources.streams.take() else {
        let text = format!("{STREAMS} pages follow this node already; /api/status answers once");
        return error(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let first = Stream { sources, next: Instant::now(), _place: place };
    let events = unfold(first, async |mut stream| {
        let due = stream.next;
        stream.sources.stop.clone().run_until_cancelled(sleep_until(due)).await?;
        stream.next = Instant::now() + INTERVAL;
        let overview = Overview::of(&stream.sources).await;
        let event = Event::default().json_data(overview).ok()?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Sse::new(events).into_response()
}
