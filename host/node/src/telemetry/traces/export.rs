//! From spans of `tracing` to spans of OpenTelemetry, and what they carry.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanLimits};
use posemesh_net::trace::TARGET;
use posemesh_text::one_line;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::collector::{Collector, REQUEST_TIMEOUT};
use super::settings::{TASK, TraceSettings};
use crate::host_name::host_name;
use crate::telemetry::error::TelemetryError;

/// How long the end of the node waits for the spans that are left.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// How much of a failure's text a span carries.
const FAILURE_BYTES: usize = 500;

/// The traces of the process. Dropping it loses the spans that are not sent yet.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends what is left, for a moment at most. Blocks.
    pub(crate) fn end(&self) {
        // What can't be delivered was told of.
        let _ = self.0.shutdown_with_timeout(LAST_SPANS);
    }
}

/// Starts the thread that sends spans; the layer is what makes them.
///
/// # Errors
/// When the exporter can't be set up. Within a runtime of tokio only.
pub(crate) fn start<S>(
    settings: &TraceSettings,
) -> Result<(impl Layer<S> + Send + Sync + use<S>, Traces), TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let failed = |error: String| TelemetryError::Traces(one_line(error, FAILURE_BYTES));
    let headers = settings.headers.as_ref().map(|headers| headers.expose()).unwrap_or_default();
    let headers = parse_headers(headers).map_err(failed)?;
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| failed(error.to_string()))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new(runtime))
        .with_endpoint(settings.endpoint.as_str())
        .with_headers(headers)
        .with_timeout(REQUEST_TIMEOUT)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.ratio))))
        .with_span_limits(SpanLimits { max_events_per_span: 0, ..SpanLimits::default() })
        .with_resource(resource(&settings.service))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("posemesh-node"))
        // Of the code itself and of threads: of no use to whoever looks at tasks.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
        // What the log has is not repeated here, least of all what runners print.
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() && (metadata.target() == TARGET || metadata.name() == TASK)
        }));
    Ok((layer, Traces(provider)))
}

fn resource(service: &str) -> Resource {
    let host = host_name();
    let process = std::process::id();
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", service.to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{host}-{process}")),
            KeyValue::new("host.name", host),
            KeyValue::new("process.pid", i64::from(process)),
        ])
        .build()
}

/// `name=value` between commas, with `%XX` in values, as the environment variables of OpenTelemetry have it.
///
/// # Errors
/// When a piece is no header. Quotes no value.
pub(crate) fn parse_headers(text: &str) -> Result<HashMap<String, String>, String> {
    let mut headers = HashMap::new();
    for (at, piece) in text.split(',').map(str::trim).enumerate().filter(|(_, piece)| !piece.is_empty()) {
        let wrong = |what: &str| format!("header {}: {what}", at + 1);
        let (name, value) = piece.split_once('=').ok_or_else(|| wrong("it is not NAME=VALUE"))?;
        let name = name.trim();
        http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("its name is none of HTTP"))?;
        let value = percent_decoded(value.trim()).ok_or_else(|| wrong("its value has a wrong `%XX`"))?;
        http::HeaderValue::from_str(&value).map_err(|_| wrong("its value is none of HTTP"))?;
        headers.insert(name.to_owned(), value);
    }
    Ok(headers)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn adopt(span: &Span, traceparent: Option<&str>) {
    let Some(parent) = traceparent.filter(|_| !span.is_disabled()) else { return };
    let carrier = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    if context.span().span_context().is_valid() {
        // An error means that nobody collects traces.
        let _ = span.set_parent(context);
    }
}

pub(super) fn ended(span: &Span, outcome: &'static str, runner: Option<&str>, failure: Option<&str>) {
    span.set_attribute("outcome", outcome);
    if let Some(runner) = runner {
        span.set_attribute("runner", one_line(runner, FAILURE_BYTES));
    }
    if let Some(failure) = failure {
        span.set_status(Status::error(one_line(failure, FAILURE_BYTES)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them_and_wrong_ones_are_not_quoted() {
        let headers = parse_headers("authorization=Basic%20c2VjcmV0, x-team = a=b ,").unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["authorization"], "Basic c2VjcmV0");
        assert_eq!(headers["x-team"], "a=b");
        assert!(parse_headers("").unwrap().is_empty());
        for (wrong, said) in [
            ("hunter2", "header 1: it is not NAME=VALUE"),
            ("a=b,hunter 2=x", "header 2: its name is none of HTTP"),
            ("a=%zz", "header 1: its value has a wrong `%XX`"),
            ("a=%", "header 1: its value has a wrong `%XX`"),
            ("a=%0Ahunter2", "header 1: its value is none of HTTP"),
        ] {
            assert_eq!(parse_headers(wrong).unwrap_err(), said);
        }
    }
}
