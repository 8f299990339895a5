//! What a runner says of itself.

use std::time::Duration;

/// What a runner asks for. The operator decides: what counts is the smaller of what was asked and what is allowed. What is
/// not asked for is the node's default.
///
/// ```
/// use std::time::Duration;
/// use posemesh_runner::Requests;
///
/// let requests = Requests::new().memory_mib(64).deadline(Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requests {
    /// Bytes of memory, over all memories of the component and what the node holds for it.
    pub memory_bytes: Option<u64>,
    /// Time from start to end of a task, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Time on the processor, in milliseconds.
    pub cpu_time_ms: Option<u64>,
    /// Bytes in the sandbox directory `/work`, materialised inputs included.
    pub scratch_bytes: Option<u64>,
    /// Bytes over all artifacts of a task.
    pub output_bytes: Option<u64>,
    /// How many artifacts a task may make.
    pub artifacts: Option<u64>,
    /// Hosts for outbound HTTP: `example.com`, `*.example.com`, `example.com:8443`.
    pub network_hosts: Vec<String>,
    /// Names of environment variables.
    pub environment: Vec<String>,
    /// Names of read-only directories; each appears as `/data/NAME`.
    pub directories: Vec<String>,
}

const MIB: u64 = 1 << 20;

impl Requests {
    /// Nothing beyond the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory, in MiB.
    #[must_use]
    pub fn memory_mib(self, mib: u64) -> Self {
        Self { memory_bytes: Some(mib.saturating_mul(MIB)), ..self }
    }

    /// Time from start to end of a task.
    #[must_use]
    pub fn deadline(self, time: Duration) -> Self {
        Self { deadline_ms: Some(millis(time)), ..self }
    }

    /// Time on the processor.
    #[must_use]
    pub fn cpu_time(self, time: Duration) -> Self {
        Self { cpu_time_ms: Some(millis(time)), ..self }
    }

    /// Space in `/work`, in MiB.
    #[must_use]
    pub fn scratch_mib(self, mib: u64) -> Self {
        Self { scratch_bytes: Some(mib.saturating_mul(MIB)), ..self }
    }

    /// All artifacts of a task together, in MiB.
    #[must_use]
    pub fn output_mib(self, mib: u64) -> Self {
        Self { output_bytes: Some(mib.saturating_mul(MIB)), ..self }
    }

    /// How many artifacts a task may make.
    #[must_use]
    pub fn artifacts(self, count: u64) -> Self {
        Self { artifacts: Some(count), ..self }
    }

    /// One more host for outbound HTTP.
    #[must_use]
    pub fn network_host(mut self, host: impl Into<String>) -> Self {
        self.network_hosts.push(host.into());
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment.push(name.into());
        self
    }

    /// One more directory.
    #[must_use]
    pub fn directory(mut self, name: impl Into<String>) -> Self {
        self.directories.push(name.into());
        self
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What Cargo.toml says; made by `export!`.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Name of the package, and of the runner.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its description: the runner's summary.
    pub summary: &'static str,
    /// Its homepage, if it has one.
    pub homepage: &'static str,
    /// Its repository, which stands in for the homepage.
    pub repository: &'static str,
    /// Its licence, if it names one.
    pub license: &'static str,
}

impl Package {
    /// Where to read more.
    #[cfg(target_family = "wasm")]
    pub(crate) fn homepage(&self) -> Option<String> {
        [self.homepage, self.repository].into_iter().find(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Checks when the crate is compiled what the node would refuse later.
    ///
    /// # Panics
    /// When the manifest has no description; in a constant that is an error of the compiler.
    #[allow(clippy::panic, reason = "it is the compiler that panics")]
    pub const fn check(&self) {
        if self.summary.is_empty() {
            panic!("Cargo.toml has no `description`: write one, it becomes the runner's summary");
        }
    }
}
