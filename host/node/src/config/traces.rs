//! Where traces of tasks go, by the variables that OpenTelemetry has for that.

use posemesh_net::url::is_private;
use posemesh_text::{REDACTED, one_line};
use url::Url;

use super::environment::SettingSource;
use super::reader::{ReadSecret, SettingsReader};
use super::secret_name::OTLP_HEADERS;
use super::variable::{Group, Variable};
use crate::telemetry::TraceSettings;

/// The port where a collector takes OTLP by gRPC, which the node does not speak.
const GRPC_PORT: u16 = 4317;
/// How many variables that are not read are told, and how much of a name is shown.
const MOST_TOLD: usize = 16;
const SHOWN_BYTES: usize = 64;

/// What is added to the base address of a collector.
const PATH: &str = "v1/traces";
const ALLOWED: &str = "an http or https URL, such as http://127.0.0.1:4318, or `off`";
const ALLOWED_WHOLE: &str = "an http or https URL, such as http://127.0.0.1:4318/v1/traces";

pub(super) fn read(reader: &mut SettingsReader<'_>, allow_insecure_http: bool) -> Option<TraceSettings> {
    let variable = Variable::new(
        Group::Log,
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "The collector of OpenTelemetry that gets a trace of each task (docs/traces.md), by OTLP over HTTP: its base address, to \
         which `/v1/traces` is added. Plain http to another machine needs ALLOW_INSECURE_HTTP.",
    );
    let base = reader.optional(&variable, "off", ALLOWED, |text| {
        let url = collector(text, ALLOWED, allow_insecure_http)?;
        match url.path().trim_end_matches('/').ends_with(PATH) {
            true => Err(format!(
                "a base address, to which `/{PATH}` is added; without it, or as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is used as \
                 it is"
            )),
            false => Ok(url),
        }
    });
    let whole = Variable::new(
        Group::Log,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "The same as a whole address, which is used as it is, in place of OTEL_EXPORTER_OTLP_ENDPOINT.",
    );
    let own = reader.optional(&whole, "by OTEL_EXPORTER_OTLP_ENDPOINT", ALLOWED_WHOLE, |text| {
        collector(text, ALLOWED_WHOLE, allow_insecure_http)
    });
    let (variable, endpoint) = if own.is_some() {
        (whole, own)
    } else {
        let below = base.map(|mut base| {
            base.set_path(&format!("{}/{PATH}", base.path().trim_end_matches('/')));
            base
        });
        (variable, below)
    };
    if endpoint.is_some() && cfg!(not(feature = "otel")) {
        let message = "this program was built without traces (feature `otel`); unset it".to_owned();
        reader.problem(&variable, None, message);
    }
    tell_others(reader);
    let headers = read_headers(reader);
    let service = Variable::new(Group::Log, "OTEL_SERVICE_NAME", "What the node is called in traces.");
    let service = reader.value(&service, "posemesh-node".to_owned(), "any text", |text| Ok(text.to_owned()));
    let ratio = reader.ratio(
        &Variable::new(
            Group::Log,
            "OTEL_TRACES_SAMPLER_ARG",
            "How many of the tasks are traced. A task with a `traceparent` in its `meta` goes by that.",
        ),
        1.0,
    );
    Some(TraceSettings { endpoint: endpoint?, headers, service, ratio })
}

/// An address of a collector. What tasks are about is readable on the way to one by plain http, and so are the headers.
fn collector(text: &str, allowed: &str, allow_insecure_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; allowed: {allowed}"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "an address without query and fragment; a key is for OTEL_EXPORTER_OTLP_HEADERS; {allowed}"
        ));
    }
    if !matches!(
        (url.scheme(), url.has_host(), url.username(), url.password()),
        ("http" | "https", true, "", None)
    ) {
        return Err(format!("not an address of a collector; allowed: {allowed}"));
    }
    if url.port() == Some(GRPC_PORT) {
        return Err(format!("{GRPC_PORT} is the port for gRPC; traces go by HTTP, mostly to 4318"));
    }
    if !allow_insecure_http && !is_private(&url) {
        return Err("plain http would send traces and headers readable over the network; use https, a collector on this machine, \
                    or set ALLOW_INSECURE_HTTP=true in a network that you trust"
            .to_owned());
    }
    Ok(url)
}

/// Tells of the variables of OpenTelemetry that mean nothing to the node: whoever has set one expects something of it.
fn tell_others(reader: &mut SettingsReader<'_>) {
    let read = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_HEADERS_FILE",
        "OTEL_SERVICE_NAME",
        "OTEL_TRACES_SAMPLER_ARG",
    ];
    let names = reader.environment().names().map(|(name, _)| name);
    let others = names.filter(|name| name.starts_with("OTEL_") && !read.contains(name));
    let others: Vec<String> = others.take(MOST_TOLD).map(|name| one_line(name, SHOWN_BYTES)).collect();
    if !others.is_empty() {
        reader.warn(format!(
            "the node does not read {}: of the variables of OpenTelemetry it knows {} (docs/traces.md)",
            others.join(", "),
            read.join(", ")
        ));
    }
}

fn read_headers(reader: &mut SettingsReader<'_>) -> Option<posemesh_net::secret::Secret> {
    const ALLOWED: &str = "NAME=VALUE with commas between them, `%XX` in values for other characters";
    let variable =
        Variable::new(Group::Log, OTLP_HEADERS.name, "Headers for the collector, such as a token.").secret();
    let (headers, source) = match reader.secret(OTLP_HEADERS, &variable, ALLOWED) {
        ReadSecret::Set(headers, source) => (headers, source),
        ReadSecret::Unset => {
            reader.setting_in_words(&variable, "none", SettingSource::Default);
            return None;
        }
        ReadSecret::Unusable => return None,
    };
    #[cfg(feature = "otel")]
    if let Err(why) = crate::telemetry::parse_headers(headers.expose()) {
        reader.problem(&variable, Some(headers.expose()), format!("{why}; allowed: {ALLOWED}"));
        return None;
    }
    reader.setting(&variable, REDACTED, source);
    Some(headers)
}
