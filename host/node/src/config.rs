//! The configuration (protocol 8, and variables of our own), in two stages: the raw [`Environment`], and
//! a [`Config`] that is checked as a whole and does not change.
//!
//! Every variable is trimmed, and one that is set but blank counts as unset. Each subsystem owns its settings and
//! their defaults; what is here fills them in. A setting is declared once, where it is read.

mod difference;
mod env_file;
mod environment;
mod given;
mod handover;
mod history;
mod identity;
mod loader;
mod log;
mod membership;
mod misspelt;
mod nearest;
mod network;
mod noop;
mod obstacles;
mod paths;
mod problem;
mod reader;
mod reference;
mod secret;
mod secret_name;
mod servers;
mod settings_file;
mod status;
mod storage;
mod traces;
mod variable;
mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::url::Url;

use crate::archive::ArchiveSettings;
use crate::control::SocketPlace;
use crate::folders::{self, Folders};
use crate::lease::LeaseSettings;
use crate::noop::{NoopCheck, NoopSettings};
use crate::registration::MembershipSettings;
use crate::status::StatusSettings;
use crate::telemetry::LogSettings;
use crate::worker::WorkerSettings;
use posemesh_domain_client::DomainSettings;
use posemesh_net::network::Network;
use posemesh_plugin_host::load::LoaderSettings;
use posemesh_plugin_host::sandbox::SandboxSettings;

use paths::Paths;
use reader::{SecretMark, SettingsReader};
use variable::Declared;

pub use crate::status::DEFAULT_ADDR as DEFAULT_STATUS_ADDR;
pub(crate) use difference::Difference;
pub use env_file::EnvFileError;
pub use environment::{Environment, SettingSource};
pub use given::{GivenError, SettingsFiles};
pub use handover::{HandoverError, hide_secrets};
pub use misspelt::{MisspeltVariable, misspelt};
pub use obstacles::Obstacle;
pub use problem::{Problem, Problems};
pub use reader::Setting;
pub use secret::{FoundSecret, SecretError};
pub use secret_name::{ADMIN_TOKEN, PRIVATE_KEY, STATUS_TOKEN, SecretName};
pub use settings_file::SettingsFileError;

/// The environment of this process, with what [`hide_secrets`] took out of it, completed by a `.env` file, and then by a
/// settings file: what is set in one of them hides the later ones.
///
/// A file that is named has to be there. Blocks while files are read.
///
/// # Errors
/// When a file can't be read, has a line that is not `NAME=value`, or is not TOML. What is wrong with single keys is found
/// by [`Config::load`], with all the other problems.
pub fn environment(files: &SettingsFiles) -> Result<Environment, GivenError> {
    given::read(files, Config::declared)
}

/// The configuration of a node. Secrets in it do not print.
#[derive(Debug, Clone)]
pub struct Config {
    /// How the log looks.
    pub log: LogSettings,
    /// Proxies, and whom TLS trusts.
    pub(crate) network: Network,
    pub(crate) dms_base_url: Url,
    /// Time for the whole of one request to DMS.
    pub(crate) request_timeout: Duration,
    pub(crate) membership: MembershipSettings,
    pub(crate) worker: WorkerSettings,
    /// The longest of the random waits before the node registers.
    pub(crate) start_splay: Duration,
    /// The memory that all tasks may use together, in bytes; none to go by the machine.
    pub(crate) memory_budget: Option<u64>,
    pub(crate) storage: DomainSettings,
    pub(crate) noop: NoopSettings,
    pub(crate) paths: Paths,
    pub(crate) archive: ArchiveSettings,
    pub(crate) loader: LoaderSettings,
    pub(crate) status: StatusSettings,
    /// Where the routes of protocol 1.10 are served; nowhere if none.
    pub(crate) legacy_http_addr: Option<SocketAddr>,
    settings: Vec<Setting>,
    warnings: Vec<String>,
    secrets: Vec<SecretMark>,
    env_file: Option<PathBuf>,
    settings_file: Option<PathBuf>,
}

impl Config {
    /// Whose leases a process holds: the job server and the identity. Not to be shown.
    pub(crate) fn owner(&self) -> String {
        format!("{} {}", self.dms_base_url, self.membership.identity.mark())
    }

    /// How long the node may take to end (`SHUTDOWN_GRACE_SECS`).
    pub fn shutdown_grace(&self) -> Duration {
        self.worker.shutdown_grace
    }

    /// Reads and checks all settings.
    ///
    /// ```
    /// use posemesh_node_core::config::{Config, Environment};
    ///
    /// let environment = Environment::from_iter([
    ///     ("REG_SECRET", "the secret that DDS handed out"),
    ///     ("SECP256K1_PRIVHEX", "4c0883a69102937d6231471b5dbb6204fe5129617082798ce3f4fdf2548b6f90"),
    ///     ("PLUGINS_DIR", "/srv/runners"),
    ///     ("CACHE_DIR", "/var/cache/posemesh-node"),
    ///     ("WORK_DIR", "/var/lib/posemesh-node"),
    /// ]);
    /// let config = Config::load(&environment)?;
    /// let secret = config.effective().iter().find(|setting| setting.name == "REG_SECRET");
    /// assert_eq!(secret.map(|setting| setting.value.as_str()), Some("[redacted]"));
    ///
    /// let problems = Config::load(&Environment::default()).unwrap_err();
    /// assert!(problems.to_string().contains("PLUGINS_DIR: required"));
    /// # Ok::<(), posemesh_node_core::config::Problems>(())
    /// ```
    ///
    /// # Errors
    /// With all problems at once.
    pub fn load(environment: &Environment) -> Result<Self, Problems> {
        let mut reader = SettingsReader::new(environment);
        let read = Self::read(&mut reader);
        let readings = reader.finish();
        match read {
            Some(mut config) if readings.problems.is_empty() && environment.problems().is_empty() => {
                config.settings = readings.settings;
                config.warnings = readings.warnings;
                config.warnings.extend(environment.warning().map(str::to_owned));
                config.secrets = readings.secrets;
                config.env_file = environment.env_file().map(Path::to_owned);
                config.settings_file = environment.settings_file().map(Path::to_owned);
                config.loader.private = loader::private_folders(&config.paths, environment);
                if let Some(folder) = &config.archive.folder {
                    config.loader.private = std::mem::take(&mut config.loader.private).closed(folder);
                }
                if let SocketPlace::At(path) = &config.status.socket {
                    config.loader.private = std::mem::take(&mut config.loader.private).holder_of(path);
                }
                Ok(config)
            }
            _ => Err(Problems([environment.problems(), &readings.problems].concat())),
        }
    }

    /// The settings of loading runners alone, for commands that need neither an account nor a network: limits, compiling,
    /// sandbox and the cache of compiled runners, where there is a place for one.
    ///
    /// # Errors
    /// With all problems of these settings at once.
    pub fn loading(environment: &Environment) -> Result<LoaderSettings, Problems> {
        let mut reader = SettingsReader::new(environment);
        let cache = paths::read_cache_if_any(&mut reader);
        let settings = LoaderSettings { cache, ..loader::read(&mut reader, None) };
        let problems = reader.finish().problems;
        if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
    }

    /// The effective configuration, a line a variable, in the order in which the variables are read.
    pub fn effective(&self) -> &[Setting] {
        &self.settings
    }

    /// The file that settings of this source were read from, if it is one file.
    pub fn file_of(&self, source: SettingSource) -> Option<&Path> {
        match source {
            SettingSource::EnvFile => self.env_file.as_deref(),
            SettingSource::SettingsFile => self.settings_file.as_deref(),
            _ => None,
        }
    }

    /// What has another value in `read`, a configuration that was read later.
    pub(crate) fn differences(&self, read: &Self) -> Vec<Difference> {
        difference::differences((&self.settings, &self.secrets), (&read.settings, &read.secrets))
    }

    /// Takes one setting from a configuration that was read later, as far as [`Config::effective`] shows it.
    pub(crate) fn take_over(&mut self, name: &str, read: &Self) {
        let new = read.settings.iter().find(|setting| setting.name == name);
        let own = self.settings.iter_mut().find(|setting| setting.name == name);
        if let (Some(own), Some(new)) = (own, new) {
            own.clone_from(new);
        }
    }

    /// How runners are kept apart from the node.
    pub fn sandbox(&self) -> &SandboxSettings {
        &self.loader.sandbox
    }

    /// What can't work on this machine, though each value is well-formed: a folder that is not there, a file that can't be
    /// written, an address of another machine. Makes and changes nothing; blocks while the file system is asked.
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let log = self.log.file.as_ref().map(|file| file.path.as_path());
        let addresses = [("STATUS_ADDR", self.status.addr), ("LEGACY_HTTP_ADDR", self.legacy_http_addr)];
        let socket = match &self.status.socket {
            SocketPlace::At(path) => Some(path.as_path()),
            SocketPlace::Own | SocketPlace::Off => None,
        };
        obstacles::find(
            &self.paths,
            self.archive.folder.as_deref(),
            [("LOG_FILE", log), ("CONTROL_SOCKET", socket)],
            addresses,
        )
    }

    /// What the node starts with all the same and should not, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What follows from the settings on this machine, a line each for people: which proxy applies to which server,
    /// without its credentials; whether `https` has certificates to trust; a noop runner that is not there; and folders that
    /// other users may change.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = network::describe(&self.network, &self.dms_base_url, &self.membership.dds_base_url);
        notes.extend(self.noop_check().missing_file());
        notes.extend(folders::warnings(&self.folders()));
        notes
    }

    /// The folders that others should not be able to change.
    pub(crate) fn folders(&self) -> Folders {
        let Paths { plugins, cache, work, .. } = self.paths.clone();
        let settings = [("the `.env` file", &self.env_file), ("the settings file", &self.settings_file)];
        let settings = settings.into_iter().filter_map(|(what, file)| Some((what, file.clone()?))).collect();
        Folders { plugins, cache, work, data: self.archive.folder.clone(), settings }
    }

    pub(crate) fn noop_check(&self) -> NoopCheck {
        NoopCheck::new(self.noop, &self.paths.plugins)
    }

    /// Every setting with its default, what is allowed and what it means: the Markdown of docs/configuration.md.
    pub fn reference() -> String {
        reference::markdown(&Self::declared())
    }

    /// The names of all settings.
    fn names() -> Vec<&'static str> {
        Self::declared().iter().map(|declared| declared.variable.name).collect()
    }

    fn declared() -> Vec<Declared> {
        // What is read of an empty environment are the declarations.
        let environment = Environment::default();
        let mut reader = SettingsReader::new(&environment);
        // There is no configuration, since required variables are missing; every setting is declared all the same.
        let _ = Self::read(&mut reader);
        reader.finish().declared
    }

    /// Reads everything before it returns, so that every problem is found.
    fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let servers = servers::read(reader);
        let identity = identity::read(reader);
        let paths = paths::read(reader);
        let archive = history::read(reader);
        let network = network::read(reader);
        let request_timeout = servers::read_request_timeout(reader);
        let node_version = membership::read_version(reader);
        let client_id = storage::read_client_id(reader, identity.as_ref());
        let heartbeat = worker::read_heartbeat(reader);
        let [poll_backoff_min, poll_backoff_max] = worker::read_poll(reader);
        let token = membership::read_token(reader);
        let registration = membership::read_registration(reader);
        let signing = membership::read_signing(reader);
        let log = log::read(reader, servers.allow_insecure_http);
        let max_concurrency = worker::read_max_concurrency(reader);
        let storage = storage::read(reader, client_id, servers.allow_insecure_http);
        let shutdown_grace = worker::read_shutdown_grace(reader);
        let start_splay = worker::read_start_splay(reader);
        let memory_budget = worker::read_memory_budget(reader);
        let noop = noop::read(reader);
        let loader = loader::read(reader, paths.as_ref());
        let status = status::read(reader);
        let legacy_http_addr = status::read_legacy_addr(reader, identity.as_ref());
        // Nothing is read from here on, so that a `?` can't hide a problem.
        let membership = MembershipSettings {
            dds_base_url: servers.dds_base_url?,
            request_timeout,
            identity: identity?,
            node_version,
            signing,
            registration,
            token,
        };
        let lease = LeaseSettings { heartbeat, ..LeaseSettings::default() };
        let worker =
            WorkerSettings { max_concurrency, poll_backoff_min, poll_backoff_max, shutdown_grace, lease };
        Some(Self {
            log,
            network,
            dms_base_url: servers.dms_base_url?,
            request_timeout,
            membership,
            worker,
            start_splay,
            memory_budget,
            storage,
            noop,
            paths: paths?,
            archive,
            loader,
            status,
            legacy_http_addr,
            settings: Vec::new(),
            warnings: Vec::new(),
            secrets: Vec::new(),
            env_file: None,
            settings_file: None,
        })
    }
}

#[cfg(test)]
mod tests;
