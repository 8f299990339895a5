//! Traces: each task is one, from its lease to its end, with a span for each heartbeat, input, artifact, the guest and the final
//! report. They go to a collector by OTLP over HTTP.
//!
//! What is measured are spans of `tracing`, which cost next to nothing while nobody listens. Spans wait in a bounded queue, and a
//! thread of its own sends them: no task waits for a collector.

#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod export;
mod settings;

use tracing::Span;

#[cfg(feature = "otel")]
pub(crate) use export::parse_headers;
#[cfg(feature = "otel")]
pub(super) use export::{Traces, start};
pub(crate) use settings::TASK;
pub use settings::TraceSettings;

/// Makes a task's span part of the trace that `traceparent` names (W3C Trace Context). One that is none changes nothing.
pub(crate) fn adopt(span: &Span, traceparent: Option<&str>) {
    #[cfg(feature = "otel")]
    export::adopt(span, traceparent);
    #[cfg(not(feature = "otel"))]
    let _ = (span, traceparent);
}

/// Adds to the trace of a task how it ended.
pub(crate) fn ended(span: &Span, outcome: &'static str, runner: Option<&str>, failure: Option<&str>) {
    #[cfg(feature = "otel")]
    export::ended(span, outcome, runner, failure);
    #[cfg(not(feature = "otel"))]
    let _ = (span, outcome, runner, failure);
}
