//! Where and when something was measured.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::results::figure::Unit;

/// The machine, what was measured on it, and what else it had to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Circumstances {
    /// When it was measured, in UTC.
    pub(crate) date: String,
    /// The commit of the sources, with `-dirty` if they were changed.
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) rust: String,
    pub(crate) node: String,
    /// Processes that could run, averaged over a minute, before the first measurement; none of early results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load_before: Option<f64>,
}

impl Circumstances {
    /// The circumstances now; `node` is the binary that is measured.
    ///
    /// # Errors
    /// Without `/proc`, or if the node can't be started.
    pub(crate) fn now(node: &Path) -> Result<Self> {
        let memory = proc("/proc/meminfo")?;
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib: u64 = total
            .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
            .context("/proc/meminfo has no MemTotal")?;
        let load = proc("/proc/loadavg")?;
        let date = OffsetDateTime::now_utc().replace_nanosecond(0).context("reading the clock")?;
        Ok(Self {
            date: date.format(&Rfc3339).context("writing the date")?,
            commit: said("git", &["describe", "--always", "--dirty", "--exclude=*"])
                .unwrap_or_else(|| "unknown".to_owned()),
            processor: processor()?,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib * 1024,
            kernel: format!("Linux {}", version(proc("/proc/sys/kernel/osrelease")?.trim())),
            rust: said("rustc", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
            node: said(&node.display().to_string(), &["--version"])
                .with_context(|| format!("asking {} for its version", node.display()))?,
            load_before: load.split_whitespace().next().and_then(|text| text.parse().ok()),
        })
    }
}

impl fmt::Display for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.date.split('T').next().unwrap_or_default();
        write!(
            f,
            "{day}, commit `{}`, {} cores ({}), {}, {}, {}",
            self.commit,
            self.cores,
            self.processor,
            Unit::Bytes.shown(self.memory_bytes as f64),
            self.kernel,
            self.rust.split(" (").next().unwrap_or_default()
        )?;
        match self.load_before {
            Some(load) => write!(f, ", load before {load:.1}"),
            None => Ok(()),
        }
    }
}

/// The processor's name.
///
/// # Errors
/// When the kernel does not show it.
pub(crate) fn processor() -> Result<String> {
    let processors = proc("/proc/cpuinfo")?;
    let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
    Ok(name.and_then(|text| text.split_once(':')).map_or("unknown", |(_, name)| name.trim()).to_owned())
}

/// The first two numbers of a kernel's version: what stands behind them is a distribution's.
fn version(release: &str) -> String {
    release.split(['.', '-']).take(2).collect::<Vec<_>>().join(".")
}

fn proc(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

/// The first line that a program says; none if it can't be run.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
