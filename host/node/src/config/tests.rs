#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::auth::identity::Identity;
use crate::auth::siwe::SiweFormat;
use crate::registration::version::CRATE_VERSION;
use crate::telemetry::LogFormat;

const KEY_B: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

fn wallet<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut variables = vec![
        ("REG_SECRET", "hunter2"),
        ("SECP256K1_PRIVHEX", KEY_B),
        ("PLUGINS_DIR", "/srv/runners"),
        ("HOME", "/home/node"),
    ];
    variables.extend_from_slice(more);
    variables
}

fn load(variables: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::load(&variables.iter().copied().collect())
}

fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let problems = load(variables).expect_err("should be refused");
    problems.0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_those_of_the_protocol() {
    let config = load(&wallet(&[])).unwrap();
    let lines: Vec<String> = config
        .effective()
        .iter()
        .map(|setting| format!("{}={} ({})", setting.name, setting.value, setting.source))
        .collect();
    let expected = format!(
        "ALLOW_INSECURE_HTTP=false (default)
DMS_BASE_URL=https://dms.auki.network/v1 (default)
DDS_BASE_URL=https://dds.auki.network (default)
REG_SECRET=[redacted] (environment)
SECP256K1_PRIVHEX=[redacted] (address 0x1a642f0e3c3af545e7acbd38b07251b3990914f1) (environment)
PLUGINS_DIR=/srv/runners (environment)
CACHE_DIR=/home/node/.cache/posemesh-node/compiled (default)
WORK_DIR=/home/node/.cache/posemesh-node/work (default)
AUDIT_LOG=off (default)
DATA_DIR=/home/node/.local/share/posemesh-node (default)
HISTORY_MAX_BYTES=64MiB (default)
HISTORY_DAYS=90 (default)
REQUEST_TIMEOUT_SECS=60 (default)
NODE_VERSION={CRATE_VERSION} (default)
CLIENT_ID=posemesh-compute-node/fd15b271-5b10-84b2-af15-f0b716596138 (default)
HEARTBEAT_MIN_RATIO=0.25 (default)
HEARTBEAT_MAX_RATIO=0.35 (default)
HEARTBEAT_JITTER_MS=250 (default)
POLL_BACKOFF_MS_MIN=1000 (default)
POLL_BACKOFF_MS_MAX=30000 (default)
TOKEN_SAFETY_RATIO=0.75 (default)
TOKEN_REAUTH_MAX_RETRIES=3 (default)
TOKEN_REAUTH_JITTER_MS=500 (default)
REGISTER_INTERVAL_SECS=120 (default)
REGISTER_MAX_RETRY=-1 (default)
SIWE_FORMAT=compact (default)
SIWE_CHAIN_ID=any (default)
SIWE_DOMAIN=that of SIWE_URI, or of DDS_BASE_URL (default)
SIWE_URI=that of SIWE_DOMAIN, or DDS_BASE_URL (default)
LOG_FORMAT=json (default)
RUST_LOG=info (default)
LOG_FILE=off (default)
LOG_FILE_MAX_BYTES=32MiB (default)
LOG_FILES_KEPT=4 (default)
OTEL_EXPORTER_OTLP_ENDPOINT=off (default)
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=by OTEL_EXPORTER_OTLP_ENDPOINT (default)
OTEL_EXPORTER_OTLP_HEADERS=none (default)
OTEL_SERVICE_NAME=posemesh-node (default)
OTEL_TRACES_SAMPLER_ARG=1 (default)
MAX_CONCURRENCY=1 (default)
UPLOAD_PARALLELISM=4 (default)
STORAGE_CONNECT_TIMEOUT_SECS=10 (default)
STORAGE_FIRST_BYTE_TIMEOUT_SECS=60 (default)
STORAGE_IDLE_TIMEOUT_SECS=30 (default)
SHUTDOWN_GRACE_SECS=25 (default)
START_SPLAY_SECS=0 (default)
MEMORY_BUDGET=by the machine (default)
ENABLE_NOOP=false (default)
NOOP_SLEEP_SECS=5 (default)
RUNNER_MAX_MEMORY_BYTES=4GiB (default)
RUNNER_MAX_TABLE_ELEMENTS=1000000 (default)
RUNNER_MAX_INSTANCES=256 (default)
RUNNER_MAX_DEADLINE_MS=86400000 (default)
RUNNER_MAX_CPU_TIME_MS=86400000 (default)
RUNNER_MAX_SCRATCH_BYTES=64GiB (default)
RUNNER_MAX_SCRATCH_FILES=1000000 (default)
RUNNER_MAX_INPUT_REQUESTS=1000000 (default)
RUNNER_MAX_INPUT_BYTES=1TiB (default)
RUNNER_MAX_OUTPUT_BYTES=64GiB (default)
RUNNER_MAX_ARTIFACTS=100000 (default)
RUNNER_MAX_LOG_BYTES=64MiB (default)
RUNNER_MAX_REPORT_BYTES=1MiB (default)
RUNNER_MAX_EVENTS_PER_SECOND=1000 (default)
RUNNER_MAX_HANDLES=65536 (default)
RUNNER_MAX_HTTP_REQUESTS=1000000 (default)
RUNNER_MAX_HTTP_BYTES=64GiB (default)
RUNNER_MAX_HTTP_TIMEOUT_MS=3600000 (default)
MAX_COMPONENT_BYTES=64MiB (default)
COMPILE_TIMEOUT_SECS=600 (default)
COMPILE_MEMORY_BYTES=2GiB (default)
COMPILE_PARALLELISM=1 (default)
DESCRIBE_TIMEOUT_SECS=20 (default)
SANDBOX=best-effort (default)
STATUS_ADDR=127.0.0.1:8090 (default)
CONTROL_SOCKET=auto (default)
ADMIN_TOKEN=unset: admin calls by the control socket alone (default)
STATUS_TOKEN=unset: other machines can't read (default)
LEGACY_HTTP_ADDR=off (default)"
    );
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn a_node_keeps_its_client_id_over_restarts() {
    let id = |variables: &[(&str, &str)]| load(variables).unwrap().storage.client_id;
    let ours = id(&wallet(&[]));
    assert_eq!(ours, "posemesh-compute-node/fd15b271-5b10-84b2-af15-f0b716596138");
    assert_eq!(ours, id(&wallet(&[("REQUEST_TIMEOUT_SECS", "7")])));
    let key = "4c0883a69102937d6231471b5dbb6204fe5129617082798ce3f4fdf2548b6f90";
    assert_ne!(ours, id(&wallet(&[("SECP256K1_PRIVHEX", key)])), "another wallet is another client");
    assert_eq!(id(&wallet(&[("CLIENT_ID", " mine ")])), "mine");
}

#[test]
fn every_variable_is_trimmed_and_blank_is_unset() {
    let config = load(&wallet(&[
        ("REQUEST_TIMEOUT_SECS", " 7\n"),
        ("TOKEN_SAFETY_RATIO", "  "),
        ("LOG_FORMAT", "TEXT"),
        ("ENABLE_NOOP", "true "),
        ("DMS_BASE_URL", " http://127.0.0.1:1/v1/ "),
        ("REGISTER_INTERVAL_SECS", "0"),
        ("REGISTER_MAX_RETRY", "4"),
        ("SIWE_FORMAT", "eip4361"),
        ("STATUS_ADDR", "127.0.0.1:9"),
    ]))
    .unwrap();
    assert_eq!(config.request_timeout, Duration::from_secs(7));
    assert_eq!(config.membership.token.safety_ratio, 0.75);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.noop.enabled);
    assert_eq!(config.dms_base_url.as_str(), "http://127.0.0.1:1/v1/");
    assert_eq!(config.membership.registration.interval, Duration::from_secs(1), "at least a second");
    assert_eq!(config.membership.registration.max_retry, Some(4));
    assert_eq!(config.membership.signing.format, SiweFormat::Eip4361);
    assert_eq!(config.status.addr, Some("127.0.0.1:9".parse().unwrap()));
}

#[test]
fn each_bad_value_is_reported_with_its_name_and_what_is_allowed() {
    for (name, value, expected) in [
        (
            "REQUEST_TIMEOUT_SECS",
            "abc",
            "invalid integer in REQUEST_TIMEOUT_SECS; allowed: whole numbers from 1",
        ),
        ("REQUEST_TIMEOUT_SECS", "0", "out of range; allowed: whole numbers from 1 to 3600"),
        ("HEARTBEAT_MIN_RATIO", "NaN", "out of range; allowed: numbers from 0 to 1"),
        ("HEARTBEAT_MAX_RATIO", "inf", "out of range; allowed: numbers from 0 to 1"),
        ("HEARTBEAT_MAX_RATIO", "x", "invalid float in HEARTBEAT_MAX_RATIO"),
        ("TOKEN_SAFETY_RATIO", "-0.1", "out of range"),
        ("POLL_BACKOFF_MS_MIN", "0", "out of range"),
        ("ENABLE_NOOP", "yes", "invalid bool in ENABLE_NOOP; allowed: true, false"),
        ("LOG_FORMAT", "xml", "allowed: json, text"),
        ("RUST_LOG", "posemesh=loud", "is no log filter"),
        ("REGISTER_MAX_RETRY", "-2", "must be -1 or a non-negative integer"),
        ("MAX_CONCURRENCY", "0", "out of range"),
        ("SIWE_FORMAT", "short", "allowed: compact, eip4361"),
        ("SIWE_CHAIN_ID", "0", "whole numbers above 0"),
        ("SIWE_DOMAIN", "https://dds.auki.network", "allowed: HOST or HOST:PORT"),
        ("SIWE_DOMAIN", "u@dds.auki.network", "allowed: HOST or HOST:PORT"),
        ("SIWE_DOMAIN", "dds.auki.network:x", "allowed: HOST or HOST:PORT"),
        ("SIWE_URI", "dds.auki.network", "invalid URL in SIWE_URI"),
        ("SIWE_URI", "https://u:hunter2@h/", "a user name or password"),
        ("SIWE_URI", "https://h/?x=1", "a query"),
        ("DMS_BASE_URL", "dms.auki.network", "invalid URL in DMS_BASE_URL"),
        ("DMS_BASE_URL", "ftp://h/", "invalid URL in DMS_BASE_URL"),
        ("DMS_BASE_URL", "https://h/v1?x=1", "a query"),
        ("DDS_BASE_URL", "https://u:hunter2@h/", "a user name or password"),
        ("DDS_BASE_URL", "http://dds.auki.network", "ALLOW_INSECURE_HTTP"),
        ("STATUS_ADDR", "8080", "IP:PORT"),
        ("ADMIN_TOKEN", "short", "at least 24"),
        ("ADMIN_TOKEN", "abababababababababababababababababab", "different"),
        ("CLIENT_ID", "a\u{7f}b", "printable ASCII"),
        ("SECP256K1_PRIVHEX", "0x12", "64 hex digits"),
    ] {
        let reported = problems(&wallet(&[(name, value)]));
        assert_eq!(reported.len(), 1, "{name}={value}: {reported:?}");
        assert!(
            reported[0].starts_with(name) && reported[0].contains(expected),
            "{name}={value}: {reported:?}"
        );
        assert!(!reported[0].contains("hunter2"), "{reported:?}");
    }
}

#[test]
fn a_pair_that_is_given_the_wrong_way_round_is_put_right() {
    let shown = |config: &Config, name: &str| {
        let setting = config.effective().iter().find(|setting| setting.name == name).unwrap();
        format!("{} ({})", setting.value, setting.source)
    };
    let config = load(&wallet(&[("HEARTBEAT_MIN_RATIO", "0.5"), ("POLL_BACKOFF_MS_MIN", "60000")])).unwrap();
    let heartbeat = config.worker.lease.heartbeat;
    assert_eq!((heartbeat.min_ratio, heartbeat.max_ratio), (0.35, 0.5));
    let [min, max] = [config.worker.poll_backoff_min, config.worker.poll_backoff_max];
    assert_eq!((min.as_millis(), max.as_millis()), (30_000, 60_000));
    assert_eq!(shown(&config, "HEARTBEAT_MIN_RATIO"), "0.35 (default)");
    assert_eq!(shown(&config, "HEARTBEAT_MAX_RATIO"), "0.5 (environment)");
    assert_eq!(shown(&config, "POLL_BACKOFF_MS_MAX"), "60000 (environment)");
    let config = load(&wallet(&[("HEARTBEAT_MAX_RATIO", "0.1"), ("POLL_BACKOFF_MS_MAX", "10")])).unwrap();
    assert_eq!(
        (config.worker.lease.heartbeat.min_ratio, config.worker.poll_backoff_min.as_millis()),
        (0.1, 10)
    );
}

#[test]
fn a_dds_behind_another_name_is_configured_by_its_own() {
    let config = load(&wallet(&[
        ("DDS_BASE_URL", "http://127.0.0.1:18080"),
        ("SIWE_DOMAIN", " dds.auki.network:8443 "),
        ("SIWE_URI", "http://dds.auki.network:8443/"),
    ]))
    .unwrap();
    let signing = &config.membership.signing;
    assert_eq!(signing.domain.as_deref(), Some("dds.auki.network:8443"));
    assert_eq!(signing.uri.as_ref().unwrap().as_str(), "http://dds.auki.network:8443/");
}

#[test]
fn all_problems_are_reported_together() {
    let lines = problems(&[("POLL_BACKOFF_MS_MIN", "x"), ("DMS_BASE_URL", "y"), ("LOG_FORMAT", "z")]);
    let names: Vec<_> = lines.iter().map(|line| line.split([':', '=']).next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "DMS_BASE_URL",
            "REG_SECRET",
            "SECP256K1_PRIVHEX",
            "PLUGINS_DIR",
            "CACHE_DIR",
            "WORK_DIR",
            "POLL_BACKOFF_MS_MIN",
            "LOG_FORMAT"
        ]
    );
    assert!(
        lines[1].contains("REG_SECRET required") && lines[1].contains("ROBOT_REGISTRATION_CREDENTIALS_FILE")
    );
    assert!(lines[2].contains("SECP256K1_PRIVHEX required"));
}

#[test]
fn plain_http_is_for_this_machine_unless_allowed() {
    load(&wallet(&[("DDS_BASE_URL", "http://[::1]:80"), ("DMS_BASE_URL", "http://localhost:1")])).unwrap();
    load(&wallet(&[("DDS_BASE_URL", "http://dds:80"), ("ALLOW_INSECURE_HTTP", "true")])).unwrap();
}

#[test]
fn the_proxy_of_each_server_is_shown_without_its_credentials_and_loopback_has_none() {
    let routes = |more: &[(&str, &str)]| load(&wallet(more)).unwrap().notes().join("\n");
    let shown = routes(&[
        ("HTTPS_PROXY", "http://me:hunter3@proxy.example:3128"),
        ("http_proxy", "other.example:8080"),
        ("NO_PROXY", "dds.auki.network"),
    ]);
    for line in [
        "DMS https://dms.auki.network/v1: through the proxy http://[redacted]@proxy.example:3128",
        "DDS https://dds.auki.network/: directly",
        "domain servers by https: through the proxy http://[redacted]@proxy.example:3128, except",
        "domain servers by http: through the proxy http://other.example:8080, except",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let local = [("DDS_BASE_URL", "http://127.0.0.1:80"), ("DMS_BASE_URL", "http://localhost:1/v1")];
    let shown = routes(&[&[("ALL_PROXY", "http://me:hunter3@proxy.example")], &local[..]].concat());
    assert!(shown.contains("DMS http://localhost:1/v1: directly: it is this machine"), "{shown}");
    assert!(shown.contains("DDS http://127.0.0.1/: directly: it is this machine"), "{shown}");
    assert!(!shown.contains("hunter3"), "{shown}");

    let config = load(&wallet(&[("HTTP_PROXY", "http://me:hunter3@p:1"), ("http_proxy", "q:2")])).unwrap();
    let set: Vec<_> = config.effective().iter().filter(|setting| setting.name.ends_with("PROXY")).collect();
    assert_eq!(set.len(), 1, "{set:?}");
    assert_eq!(set[0].value, "http://[redacted]@p:1");
    for bad in ["socks5://me:hunter3@p", "http://", "ftp://hunter3"] {
        let reported = problems(&wallet(&[("ALL_PROXY", bad)]));
        assert_eq!(reported.len(), 1, "{bad}");
        assert!(reported[0].starts_with("ALL_PROXY=[redacted]: "), "{reported:?}");
        assert!(!reported[0].contains("hunter3"), "{reported:?}");
    }
}

#[test]
fn certificates_that_can_not_be_used_are_a_problem_with_file_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let [path, folder] = [path.as_path(), folder.path()].map(|path| path.to_str().unwrap().to_owned());
    for (name, value, reason) in [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "No such file"),
        ("SSL_CERT_FILE", folder.as_str(), "not a regular file"),
        ("SSL_CERT_FILE", path.as_str(), "no certificate"),
        ("SSL_CERT_DIR", folder.as_str(), "no certificate"),
        ("SSL_CERT_DIR", "/nowhere", "No such file"),
        ("SSL_CERT_FILE", "/dev/null", "not a regular file"),
    ] {
        let reported = problems(&wallet(&[(name, value)]));
        assert_eq!(reported.len(), 1, "{name}={value}: {reported:?}");
        assert!(reported[0].starts_with(&format!("{name}={value}: {value}: ")), "{reported:?}");
        assert!(reported[0].contains(reason), "{reported:?}");
    }
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/../net/tests/certificates/ca.pem");
    let config = load(&wallet(&[("SSL_CERT_FILE", ca)])).unwrap();
    assert_eq!(config.network.trusted().len(), 1, "in place of the system's");
    assert!(config.notes().iter().any(|line| line == "certificates of CAs: 1"));
}

#[test]
fn values_that_are_not_utf8_are_reported_and_only_if_they_matter() {
    let bad = OsString::from_vec(vec![b'1', 0xff]);
    let mut variables: Vec<(OsString, OsString)> =
        wallet(&[]).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    variables.push(("SOMETHING_ELSE".into(), bad.clone()));
    Config::load(&Environment::from_os(variables.clone())).unwrap();
    variables.push(("REQUEST_TIMEOUT_SECS".into(), bad));
    let problems = Config::load(&Environment::from_os(variables)).unwrap_err();
    assert_eq!(problems.0.len(), 1);
    assert_eq!(problems.0[0].to_string(), "REQUEST_TIMEOUT_SECS: its value is not UTF-8 text");
}

#[test]
fn robot_variables_make_a_robot() {
    let base = [("PLUGINS_DIR", "p"), ("HOME", "/h")];
    let with = |more: &[(&'static str, &str)]| {
        load(&base.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let message = |result: Result<Config, Problems>| result.unwrap_err().to_string();

    let config = with(&[("ROBOT_REGISTRATION_CREDENTIALS", " abc ")]).unwrap();
    assert!(
        matches!(&config.membership.identity, Identity::Robot { credentials } if credentials.expose() == "abc")
    );

    let from_file = |path: &str| with(&[("ROBOT_REGISTRATION_CREDENTIALS_FILE", path)]);
    assert!(message(from_file(&path)).contains("the file is empty"));
    assert!(message(from_file("/nowhere")).contains("reading the file: No such file"));
    writeln!(file, "from-file\n").unwrap();
    let config = from_file(&path).unwrap();
    assert!(
        matches!(&config.membership.identity, Identity::Robot { credentials } if credentials.expose() == "from-file")
    );
    assert!(!format!("{config:?}").contains("from-file"));

    let both = with(&[
        ("ROBOT_REGISTRATION_CREDENTIALS", "abc"),
        ("ROBOT_REGISTRATION_CREDENTIALS_FILE", "/nowhere"),
    ]);
    assert!(message(both).contains("mutually exclusive"));
    let wallet_too = with(&[("ROBOT_REGISTRATION_CREDENTIALS", "abc"), ("REG_SECRET", "hunter2")]);
    let text = message(wallet_too);
    assert!(text.contains("either a wallet or a robot") && !text.contains("hunter2"), "{text}");
}

#[test]
fn each_secret_may_come_from_a_file_and_the_effective_configuration_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let token = "hunter2-0123456789-abcdefgh";
    let (reg, key, admin) = (file("reg", "hunter2\n"), file("key", KEY_B), file("admin", token));
    let base = [("PLUGINS_DIR", "p"), ("HOME", "/h"), ("REG_SECRET_FILE", reg.as_str())];
    let more = [("SECP256K1_PRIVHEX_FILE", key.as_str()), ("ADMIN_TOKEN_FILE", admin.as_str())];
    let config = load(&base.into_iter().chain(more).collect::<Vec<_>>()).unwrap();
    assert!(
        matches!(&config.membership.identity, Identity::Wallet { reg_secret, .. } if reg_secret.expose() == "hunter2")
    );
    assert_eq!(config.status.admin_token.as_ref().unwrap().expose(), token);
    let shown = |name| {
        let setting = config.effective().iter().find(|setting| setting.name == name).unwrap();
        format!("{} ({})", setting.value, setting.source)
    };
    assert_eq!(shown("REG_SECRET"), "[redacted] (file)");
    assert_eq!(shown("REG_SECRET_FILE"), format!("{reg} (environment)"));
    assert!(
        shown("SECP256K1_PRIVHEX").ends_with("(address 0x1a642f0e3c3af545e7acbd38b07251b3990914f1) (file)")
    );
    assert!(config.effective().iter().all(|setting| !setting.value.contains("hunter2")));
    // They were made readable by everybody, as the process's mask allows.
    assert!(config.warnings().iter().all(|warning| warning.contains("chmod")), "{:?}", config.warnings());
}

#[test]
fn a_secret_whose_file_is_wrong_is_a_problem_of_its_own_and_no_other_is_hidden() {
    let lines = problems(&[
        ("PLUGINS_DIR", "p"),
        ("HOME", "/h"),
        ("REG_SECRET_FILE", "/nowhere/reg"),
        ("SECP256K1_PRIVHEX", "hunter2"),
        ("ADMIN_TOKEN", "hunter2"),
        ("ADMIN_TOKEN_FILE", "/nowhere/token"),
    ]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with("REG_SECRET_FILE=/nowhere/reg: reading the file: No such file"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("SECP256K1_PRIVHEX=[redacted]: not a private key"), "{lines:?}");
    assert!(lines[2].contains("mutually exclusive"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("hunter2")), "{lines:?}");
}

#[test]
fn debug_output_has_no_secret() {
    let config = load(&wallet(&[])).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("01010101"), "{shown}");
    assert!(shown.contains("0x1a642f0e3c3af545e7acbd38b07251b3990914f1"), "the address may be seen");
}
