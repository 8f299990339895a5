//! The operator's word on one runner: `NAME.toml` beside `NAME.wasm`. Absent, the defaults hold.
//!
//! ```toml
//! enabled = true
//! priority = 0                              # of several that claim a capability the highest serves it
//! capabilities = ["/example/resize/v1"]     # what it may serve; without this line, all that it claims
//! environment = ["MODEL_NAME"]              # variables of the node that the runner may see
//! network_hosts = ["api.example.com"]       # hosts that it may reach by HTTP, at public addresses
//! private_network_hosts = ["models.lan:80"] # the same, at any address
//! inputs = "task"                           # which data it may read: what its task names, or all of its "domain"
//! replace = "task"                          # which data its artifacts may replace: the same
//!
//! [directories]                             # folders that it may read, as /data/NAME
//! models = "/srv/models"
//!
//! [limits]                                  # the most that it gets, whatever it asks for
//! memory_bytes = "256MiB"                   # or the number of bytes
//! deadline_ms = "10min"                     # or milliseconds
//!
//! [canary]                                  # a new version gets a share of the tasks first
//! share = 0.1
//! tasks = 20
//! max_failure_share = 0.1
//!
//! [breaker]                                 # a runner that fails again and again gets no task for a while
//! enabled = true
//! failures = 5                              # so many failures of its own in a row take it out,
//! window = 20                               # and so do more than this share of its last 20 runs
//! max_failure_share = 0.3
//! open_secs = 30                            # or "30s": how long at first; each time twice as long,
//! max_open_secs = 3600                      # and never longer than this
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use posemesh_files::open_regular;
use posemesh_text::one_line;
use serde::Deserialize;

use crate::manifest::breaker::BreakerPolicy;
use crate::manifest::canary::CanaryPolicy;
use crate::manifest::data_scope::DataScope;
use crate::manifest::description::Description;
use crate::manifest::host_rule::{HostRule, agreed};
use crate::manifest::limits::{LimitSettings, Limits};

/// The largest `NAME.toml`.
const MAX_POLICY: u64 = 64 << 10;

/// The longest account of a mistake, in bytes.
const MAX_MISTAKE: usize = 500;

/// Variables that hold the node's secrets, or a proxy's address with its password: no runner sees them, whatever its policy
/// says, nor where their files are.
const SECRETS: [&str; 9] = [
    "ADMIN_TOKEN",
    "STATUS_TOKEN",
    "REG_SECRET",
    "SECP256K1_PRIVHEX",
    "ROBOT_REGISTRATION_CREDENTIALS",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
];

/// Whether a variable has a secret of the node, or the path of one's file.
fn is_secret(name: &str) -> bool {
    // Those of proxies are known in small letters as well.
    let name = name.to_ascii_uppercase();
    SECRETS.contains(&name.strip_suffix("_FILE").unwrap_or(&name))
}

/// Why an operator's file is not followed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file is there and can't be read, which may pass.
    #[error("reading {path}: {error}")]
    Read {
        /// `NAME.toml`.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The file has a mistake.
    #[error("{path}: {what}")]
    Invalid {
        /// `NAME.toml`.
        path: PathBuf,
        /// The line and field, and what is allowed.
        what: String,
    },
}

/// What the operator allows a runner.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether the runner is loaded at all; false withdraws it.
    pub enabled: bool,
    /// Of several runners that claim a capability the one with the highest serves it.
    pub priority: i32,
    /// The capabilities that it may serve, whatever else it claims; none: all that it claims.
    pub capabilities: Option<Vec<String>>,
    /// How a new generation is tried while another is live; none: it takes over at once.
    pub canary: Option<CanaryPolicy>,
    /// When it is left out because it fails again and again.
    pub breaker: BreakerPolicy,
    /// Names of the node's environment variables that it may see.
    pub environment: Vec<String>,
    /// Hosts that it may reach, as long as their addresses are public.
    pub network_hosts: Vec<HostRule>,
    /// Hosts that it may reach at whatever address: on this machine, in this network.
    pub private_network_hosts: Vec<HostRule>,
    /// Which data of its domain it may read.
    pub inputs: DataScope,
    /// Which data of its domain its artifacts may replace, by id or by name.
    pub replace: DataScope,
    /// Folders of the host that it may read, by the name that it asks for.
    pub directories: BTreeMap<String, PathBuf>,
    /// The most that it gets.
    pub limits: LimitSettings,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: true,
            priority: 0,
            capabilities: None,
            canary: None,
            breaker: BreakerPolicy::default(),
            environment: Vec::new(),
            network_hosts: Vec::new(),
            private_network_hosts: Vec::new(),
            inputs: DataScope::default(),
            replace: DataScope::default(),
            directories: BTreeMap::new(),
            limits: LimitSettings::default(),
        }
    }
}

impl Policy {
    /// Reads `NAME.toml`; a missing file is the default.
    ///
    /// # Errors
    /// When it can't be read or is not what it should be; the text names line and field.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let invalid = |what: String| PolicyError::Invalid { path: path.to_owned(), what };
        let mut text = String::new();
        // One byte more than allowed is enough to tell, and a huge file is never read whole.
        match open_regular(path).and_then(|file| file.take(MAX_POLICY + 1).read_to_string(&mut text)) {
            Ok(bytes) if bytes as u64 > MAX_POLICY => {
                Err(invalid(format!("it has more than {MAX_POLICY} bytes")))
            }
            Ok(_) => {
                let policy: Self = toml::from_str(&text).map_err(|error| invalid(mistake(&text, &error)))?;
                policy.check().map(|()| policy).map_err(invalid)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(invalid(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(invalid("it is not text in UTF-8".to_owned()))
            }
            // Only a missing file means the defaults: one that can't be read may forbid what they allow.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
                Ok(Self::default())
            }
            Err(error) => Err(PolicyError::Read { path: path.to_owned(), error }),
        }
    }

    fn check(&self) -> Result<(), String> {
        // Refused rather than left out: the operator must learn that this name can't be granted.
        if let Some(secret) = self.environment.iter().find(|name| is_secret(name)) {
            return Err(format!("environment: {secret} holds a secret of the node, which no runner may see"));
        }
        for capability in self.capabilities.iter().flatten() {
            // A name that no runner can claim is a mistake that would go unseen.
            if !capability.starts_with('/') || capability.contains(char::is_whitespace) {
                return Err(format!(
                    "capabilities: {}: a capability starts with / and has no spaces, such as /posemesh/noop/v1",
                    one_line(format_args!("{capability:?}"), MAX_MISTAKE)
                ));
            }
        }
        for (name, folder) in &self.directories {
            if !folder.is_absolute() || !folder.is_dir() {
                return Err(format!(
                    "[directories] {} = \"{}\": it must be the absolute path of a folder that is there",
                    one_line(name, MAX_MISTAKE),
                    one_line(folder.display(), MAX_MISTAKE)
                ));
            }
        }
        self.breaker.check()
    }

    /// What a runner gets of what it asked for: never more than `maximum`, the node's own; `defaults` where nothing is
    /// said.
    ///
    /// A pure function, so that what a policy means can be tested without a runner.
    pub(crate) fn grant(&self, asked: &Description, maximum: &Limits, defaults: &Limits) -> Grant {
        let (limits, reduced) = Limits::grant(&asked.limits, &self.limits, maximum, defaults);
        let mut not_granted = Vec::new();
        let allowed =
            |capability: &String| self.capabilities.as_ref().is_none_or(|all| all.contains(capability));
        let (capabilities, refused): (Vec<_>, Vec<_>) = asked.capabilities.iter().cloned().partition(allowed);
        not_granted.extend(
            refused.into_iter().map(|name| format!("capability {name} (not in `capabilities` of NAME.toml)")),
        );
        let (environment, refused): (Vec<_>, Vec<_>) =
            asked.environment.iter().cloned().partition(|name| self.environment.contains(name));
        not_granted.extend(refused.into_iter().map(|name| format!("environment variable {name}")));

        // A runner does not know which hosts are private, so one list of wishes meets both permissions.
        let network_hosts = agreed(&asked.network_hosts, &self.network_hosts);
        let private_network_hosts = agreed(&asked.network_hosts, &self.private_network_hosts);
        for host in &asked.network_hosts {
            let granted: Vec<String> = network_hosts
                .iter()
                .chain(&private_network_hosts)
                .filter(|rule| host.covers(rule))
                .map(ToString::to_string)
                .collect();
            match granted.as_slice() {
                [] => not_granted.push(format!("network host {host}")),
                granted if granted.contains(&host.to_string()) => {}
                part => not_granted.push(format!("network host {host} (only {})", part.join(", "))),
            }
        }

        let mut directories = BTreeMap::new();
        for name in &asked.directories {
            match self.directories.get(name) {
                Some(folder) => drop(directories.insert(name.clone(), folder.clone())),
                None => not_granted.push(format!("directory {name}")),
            }
        }
        not_granted.extend(reduced.iter().map(ToString::to_string));
        let (inputs, replace) = (self.inputs, self.replace);
        Grant {
            capabilities,
            limits,
            environment,
            network_hosts,
            private_network_hosts,
            inputs,
            replace,
            directories,
            not_granted,
        }
    }
}

/// A mistake in a file, on one line: the number of its line, and what is wrong. The parser's own text draws it over
/// several.
fn mistake(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let what = one_line(error.message(), MAX_MISTAKE);
    match before {
        Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
        None => what,
    }
}

/// What counts for a runner: the intersection of asked and allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it may serve of what it claims.
    pub capabilities: Vec<String>,
    /// The limits of each run.
    pub limits: Limits,
    /// The environment variables that it sees.
    pub environment: Vec<String>,
    /// The hosts that it may reach at public addresses.
    pub network_hosts: Vec<HostRule>,
    /// The hosts that it may reach at any address.
    pub private_network_hosts: Vec<HostRule>,
    /// Which data of its domain it may read.
    pub inputs: DataScope,
    /// Which data of its domain its artifacts may replace.
    pub replace: DataScope,
    /// The folders of the host that it may read, by name: each appears as `/data/NAME`.
    pub directories: BTreeMap<String, PathBuf>,
    /// What it asked for and did not get, in words.
    pub not_granted: Vec<String>,
}

#[cfg(test)]
mod tests;
