//! Which servers the node calls, and how.

use std::time::Duration;

use url::Url;

use super::environment::SettingSource;
use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use crate::auth::dds;
use crate::dms;
use posemesh_net::http::REQUEST_TIMEOUT;
use posemesh_net::url::is_private;
use posemesh_text::REDACTED;

/// Where DDS and DMS are.
pub(super) struct ServerUrls {
    pub(super) dms_base_url: Option<Url>,
    pub(super) dds_base_url: Option<Url>,
    /// Whether plain HTTP may leave this machine.
    pub(super) allow_insecure_http: bool,
}

pub(super) fn read(reader: &mut SettingsReader<'_>) -> ServerUrls {
    let allow_insecure_http = reader.boolean(
        &Variable::new(
            Group::Servers,
            "ALLOW_INSECURE_HTTP",
            "Accepts http:// for servers that are not on this machine. Tokens and secrets are then readable on \
             the network.",
        ),
        false,
    );
    let dms =
        Variable::new(Group::Servers, "DMS_BASE_URL", "Base URL of the job server (DMS).").section("3.1");
    let dds = Variable::new(
        Group::Servers,
        "DDS_BASE_URL",
        "Base URL of the discovery service (DDS). The node signs for this server only.",
    )
    .section("1");
    ServerUrls {
        dms_base_url: base_url(reader, &dms, dms::DEFAULT_BASE_URL, allow_insecure_http),
        dds_base_url: base_url(reader, &dds, dds::DEFAULT_BASE_URL, allow_insecure_http),
        allow_insecure_http,
    }
}

pub(super) fn read_request_timeout(reader: &mut SettingsReader<'_>) -> Duration {
    reader.seconds(
        &Variable::new(
            Group::Servers,
            "REQUEST_TIMEOUT_SECS",
            "Time for the whole of one request to DDS or DMS, in seconds.",
        ),
        REQUEST_TIMEOUT,
        1..=3600,
    )
}

const ALLOWED: &str = "http(s)://HOST[:PORT][/PATH]";

/// A base URL: `http` or `https` with a host, and nothing that could carry a secret or break joining.
fn base_url(reader: &mut SettingsReader<'_>, variable: &Variable, default: &str, plain: bool) -> Option<Url> {
    reader.declare(variable, default, ALLOWED);
    let Some((text, source)) = reader.raw(variable.name) else {
        reader.setting(variable, default, SettingSource::Default);
        return Url::parse(default).ok();
    };
    match check(variable.name, text, plain) {
        Ok(url) => {
            reader.setting(variable, &url, source);
            Some(url)
        }
        Err(message) => {
            // What stands before an `@` or after a `?` is likely a password or a token.
            let shown = if text.contains(['@', '?', '#']) { REDACTED } else { text };
            reader.problem(variable, Some(shown), message);
            None
        }
    }
}

fn check(name: &str, text: &str, plain: bool) -> Result<Url, String> {
    let invalid = |what: &str| format!("invalid URL in {name}: {what}; allowed: {ALLOWED}");
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("not http or https with a host"));
    }
    // The URL is shown in the effective configuration, and credentials must not be.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it holds a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it holds a query or fragment"));
    }
    if !plain && !is_private(&url) {
        return Err("plain http would send secrets readable over the network; \
            use https, or set ALLOW_INSECURE_HTTP=true in a network that you trust"
            .to_owned());
    }
    Ok(url)
}

/// What a URL looks like that a server has for itself.
pub(super) const OWN_URL: &str = ALLOWED;

/// A URL that a server has for itself. It is only signed, never called: what is called, and whether that may be plain
/// http, is for the base URL to say.
pub(super) fn read_own_url(name: &str, text: &str) -> Result<Url, String> {
    check(name, text, true)
}
