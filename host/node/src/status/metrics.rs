//! `GET /metrics`: the node's counts, read from their owners when they are asked for, in the text format of Prometheus or of
//! OpenMetrics, whichever the caller would rather have.
//!
//! What there is stands in [`catalog`], from which docs/metrics.md is written. Labels are bounded: words of ours, and at most
//! 64 names of runners.

mod accept;
mod catalog;
mod machine;
mod node;
mod runners;
mod servers;
mod text;
mod work;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::sources::StatusSources;
use text::MetricsText;

pub use catalog::reference;

pub(super) async fn answer(State(sources): State<StatusSources>, headers: HeaderMap) -> Response {
    let format = accept::format(&headers);
    // Files of the kernel and other file systems: the one thing here that can take time.
    let machine = machine::look(&sources.folders).await;
    let mut out = MetricsText::new(format);
    node::write(&mut out, &sources);
    work::write(&mut out, &sources);
    servers::write(&mut out, &sources);
    runners::write(&mut out, &sources);
    machine::write(&mut out, &machine, sources.memory_budget.now().bytes());
    ([(header::CONTENT_TYPE, format.content_type())], out.finish()).into_response()
}
