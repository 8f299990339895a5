//! Where traces of tasks go, by the variables that OpenTelemetry has for that.

use posemesh_text::REDACTED;
use url::Url;

use super::environment::SettingSource;
use super::reader::{ReadSecret, SettingsReader};
use super::secret_name::OTLP_HEADERS;
use super::variable::{Group, Variable};
use crate::telemetry::TraceSettings;

/// The port where a collector takes OTLP by gRPC, which the node does not speak.
const GRPC_PORT: u16 = 4317;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<TraceSettings> {
    const ALLOWED: &str = "an http or https URL, such as http://127.0.0.1:4318, or `off`";
    let variable = Variable::new(
        Group::Log,
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "The collector of OpenTelemetry that gets a trace of each task (docs/traces.md), by OTLP over HTTP: its base address, to \
         which `/v1/traces` is added.",
    );
    let endpoint = reader.optional(&variable, "off", ALLOWED, |text| {
        let url = Url::parse(text).map_err(|error| format!("{error}; allowed: {ALLOWED}"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "an address without query and fragment; a key is for OTEL_EXPORTER_OTLP_HEADERS; {ALLOWED}"
            ));
        }
        match (url.scheme(), url.has_host(), url.username(), url.password()) {
            ("http" | "https", true, "", None) if url.port() == Some(GRPC_PORT) => {
                Err(format!("{GRPC_PORT} is the port for gRPC; traces go by HTTP, mostly to 4318"))
            }
            ("http" | "https", true, "", None) => Ok(url),
            _ => Err(format!("not an address of a collector; allowed: {ALLOWED}")),
        }
    });
    if endpoint.is_some() && cfg!(not(feature = "otel")) {
        let message = "this program was built without traces (feature `otel`); unset it".to_owned();
        reader.problem(&variable, None, message);
    }
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
    let mut endpoint = endpoint?;
    let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
    endpoint.set_path(&path);
    Some(TraceSettings { endpoint, headers, service, ratio })
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
