//! Settings that belong together, and what is checked of them.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Source;
use super::reader::Reader;
use crate::auth::siwe::SiweFormat;
use crate::telemetry::{self, LogFormat};

/// When heartbeats are due (protocol 4.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeartbeatConfig {
    /// `HEARTBEAT_MIN_RATIO`, not above `max_ratio`.
    pub min_ratio: f64,
    /// `HEARTBEAT_MAX_RATIO`, at most 1.
    pub max_ratio: f64,
    /// `HEARTBEAT_JITTER_MS`.
    pub jitter: Duration,
}

/// How long to wait between polls (protocol 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollConfig {
    /// `POLL_BACKOFF_MS_MIN`, above 0 and not above `max`.
    pub min: Duration,
    /// `POLL_BACKOFF_MS_MAX`.
    pub max: Duration,
}

/// When machine tokens are renewed (protocol 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenConfig {
    /// `TOKEN_SAFETY_RATIO`: the part of a token's lifetime after which it is renewed.
    pub safety_ratio: f64,
    /// `TOKEN_REAUTH_MAX_RETRIES`: failed logins that a caller sits out before it gets an error.
    pub max_retries: u32,
    /// `TOKEN_REAUTH_JITTER_MS`: spread of the renewal, and the first wait after a failed login.
    pub jitter: Duration,
}

/// How the node registers (protocol 1.4 to 1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// `REGISTER_INTERVAL_SECS`, at least a second.
    pub interval: Duration,
    /// `REGISTER_MAX_RETRY`; none for -1.
    pub max_retry: Option<u32>,
    /// `SIWE_FORMAT`.
    pub siwe_format: SiweFormat,
    /// `SIWE_CHAIN_ID`: the one chain that is signed for; any if none.
    pub siwe_chain_id: Option<u64>,
}

/// Where things lie on disk. Nothing is created or looked up at this stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathsConfig {
    /// `PLUGINS_DIR`: runners and their grants.
    pub plugins: PathBuf,
    /// `CACHE_DIR`: compiled runners. Its content is trusted: nobody else may write there.
    pub cache: PathBuf,
    /// `WORK_DIR`: the private directories of tasks.
    pub work: PathBuf,
}

/// How the node deals with domain servers (protocol 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageConfig {
    /// `UPLOAD_PARALLELISM`: parts of upload sessions that a task sends at the same time.
    pub upload_parallelism: u32,
    /// `STORAGE_CONNECT_TIMEOUT_SECS`: how long a connection may take to come up.
    pub connect_timeout: Duration,
    /// `STORAGE_FIRST_BYTE_TIMEOUT_SECS`: how long a server may think before it answers.
    pub first_byte_timeout: Duration,
    /// `STORAGE_IDLE_TIMEOUT_SECS`: how long a transfer may make no progress.
    pub idle_timeout: Duration,
}

/// How the log looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// `RUST_LOG`.
    pub filter: String,
}

impl HeartbeatConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let min_ratio = reader.ratio("HEARTBEAT_MIN_RATIO", 0.25);
        let max_ratio = reader.ratio("HEARTBEAT_MAX_RATIO", 0.35);
        let jitter = reader.millis("HEARTBEAT_JITTER_MS", 250, 0..=60_000);
        if min_ratio > max_ratio {
            let message = format!("must not be above HEARTBEAT_MAX_RATIO, which is {max_ratio}");
            reader.problem("HEARTBEAT_MIN_RATIO", Some(&min_ratio.to_string()), message);
        }
        Self { min_ratio, max_ratio, jitter }
    }
}

impl PollConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let min = reader.millis("POLL_BACKOFF_MS_MIN", 1000, 1..=3_600_000);
        let max = reader.millis("POLL_BACKOFF_MS_MAX", 30_000, 1..=3_600_000);
        if min > max {
            let message = format!("must not be above POLL_BACKOFF_MS_MAX, which is {}", max.as_millis());
            reader.problem("POLL_BACKOFF_MS_MIN", Some(&min.as_millis().to_string()), message);
        }
        Self { min, max }
    }
}

impl TokenConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            safety_ratio: reader.ratio("TOKEN_SAFETY_RATIO", 0.75),
            max_retries: reader.integer("TOKEN_REAUTH_MAX_RETRIES", 3, 0..=u32::MAX),
            jitter: reader.millis("TOKEN_REAUTH_JITTER_MS", 500, 0..=60_000),
        }
    }
}

impl RegistrationConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let interval = reader.seconds("REGISTER_INTERVAL_SECS", 120, 0..=86_400).max(Duration::from_secs(1));
        let max_retry = reader.value("REGISTER_MAX_RETRY", -1, |text| {
            let value: i32 = text.parse().map_err(|_| {
                "invalid integer in REGISTER_MAX_RETRY; must be -1 or a non-negative integer".to_owned()
            })?;
            if value >= -1 { Ok(value) } else { Err("must be -1 or a non-negative integer".to_owned()) }
        });
        let formats = [("eip4361", SiweFormat::Eip4361)];
        let siwe_format = reader.choice("SIWE_FORMAT", ("compact", SiweFormat::Compact), &formats);
        let siwe_chain_id = reader.optional("SIWE_CHAIN_ID", "any", |text| match text.parse() {
            Ok(id) if id > 0_u64 => Ok(id),
            _ => Err("invalid integer in SIWE_CHAIN_ID; allowed: whole numbers above 0".to_owned()),
        });
        Self { interval, max_retry: u32::try_from(max_retry).ok(), siwe_format, siwe_chain_id }
    }
}

impl PathsConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let plugins = reader.path("PLUGINS_DIR", None, "the directory that holds the runners (.wasm files)");
        let cache_home = reader.raw("XDG_CACHE_HOME").map(|(path, _)| PathBuf::from(path));
        let cache_home = cache_home.filter(|path| path.is_absolute());
        let home = reader.raw("HOME").map(|(path, _)| PathBuf::from(path).join(".cache"));
        // Not under the system's temporary directory: compiled code that is run must not come from a
        // place where other users of the machine can write.
        let ours = cache_home.or(home).map(|base| base.join("posemesh-node"));
        let help = "a directory that only the node can write to (there is no HOME to derive it from)";
        let cache = reader.path("CACHE_DIR", ours.as_ref().map(|base| base.join("compiled")), help);
        let work = reader.path("WORK_DIR", ours.map(|base| base.join("work")), help);
        Some(Self { plugins: plugins?, cache: cache?, work: work? })
    }
}

impl StorageConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            upload_parallelism: reader.integer("UPLOAD_PARALLELISM", 4, 1..=32),
            connect_timeout: reader.seconds("STORAGE_CONNECT_TIMEOUT_SECS", 10, 1..=600),
            first_byte_timeout: reader.seconds("STORAGE_FIRST_BYTE_TIMEOUT_SECS", 60, 1..=3600),
            idle_timeout: reader.seconds("STORAGE_IDLE_TIMEOUT_SECS", 30, 1..=3600),
        }
    }
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let format = reader.choice("LOG_FORMAT", ("json", LogFormat::Json), &[("text", LogFormat::Text)]);
        let filter = reader.value("RUST_LOG", "info".to_owned(), |text| {
            telemetry::check_filter(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
        });
        Self { format, filter }
    }
}

/// The HTTP client reads these from the process itself: in a `.env` file they would do nothing.
pub(super) fn check_proxies(reader: &mut Reader<'_>) {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"] {
        match reader.raw(name) {
            // May hold a password.
            Some((_, Source::EnvFile)) => {
                let message = "has no effect in the env file; set it in the real environment";
                reader.secret_problem(name, message.to_owned());
            }
            Some((_, source)) => reader.setting(name, "(set)", source),
            None => {}
        }
    }
}

/// What goes into headers and bodies as it is.
pub(super) fn printable_ascii(text: &str) -> Result<String, String> {
    if text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        Ok(text.to_owned())
    } else {
        Err("allowed: at most 128 printable ASCII characters".to_owned())
    }
}
