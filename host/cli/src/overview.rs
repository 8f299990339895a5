//! What a running node answers to `/api/status`, as the commands show it.

use std::fmt;
use std::ops::Deref;

use posemesh_net::clock::TOLERATED_SKEW_SECS;
use posemesh_text::one_line;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::amounts::span;

/// How much of a text is shown, in bytes: servers and runners have their say in it.
const SHOWN_BYTES: usize = 300;

/// A text that a terminal can be given: on one line, bounded, with control characters escaped. It can't be read otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shown(String);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(one_line(text, SHOWN_BYTES)))
    }
}

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a node is at one moment.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Overview {
    pub(crate) state: Shown,
    pub(crate) missing: Vec<Shown>,
    pub(crate) warnings: Vec<Shown>,
    pub(crate) pid: u32,
    pub(crate) version: Shown,
    #[serde(default)]
    pub(crate) commit: Shown,
    pub(crate) who: Shown,
    pub(crate) host: Shown,
    pub(crate) uptime_secs: u64,
    /// Name, value and source of each setting that differs from the default.
    #[serde(default)]
    pub(crate) settings: Vec<[Shown; 3]>,
    pub(crate) dds: Dds,
    pub(crate) dms: Dms,
    pub(crate) servers: Vec<Server>,
    pub(crate) capacity: Capacity,
    pub(crate) tasks: Vec<Task>,
    /// How many more are worked on.
    #[serde(default)]
    pub(crate) tasks_left_out: u64,
    pub(crate) totals: Totals,
    #[serde(default)]
    pub(crate) hour: Vec<Minute>,
    #[serde(default)]
    pub(crate) hour_failures: Vec<Failures>,
    pub(crate) plugins: Vec<Runner>,
}

impl Overview {
    /// The state as it is shown: `READY`, `NOT READY` ...
    pub(crate) fn state_word(&self) -> String {
        self.state.to_uppercase().replace('_', " ")
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Dds {
    pub(crate) through: Shown,
    pub(crate) registration: Shown,
    #[serde(default)]
    pub(crate) registered: bool,
    #[serde(default)]
    pub(crate) error: Option<Shown>,
    pub(crate) token_valid_secs: Option<u64>,
    #[serde(default)]
    pub(crate) token_error: Option<Shown>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Dms {
    pub(crate) through: Shown,
    pub(crate) answered_secs_ago: Option<u64>,
    pub(crate) error: Option<Shown>,
    /// What the last request for work brought, in one word.
    #[serde(default)]
    pub(crate) last_poll: Option<Shown>,
    #[serde(default)]
    pub(crate) last_poll_secs_ago: Option<u64>,
}

impl Dms {
    /// What the last request for work brought, and when; empty if none was sent.
    pub(crate) fn last_poll_line(&self) -> String {
        let (Some(result), Some(ago)) = (&self.last_poll, self.last_poll_secs_ago) else {
            return String::new();
        };
        format!("last poll {} ago: {}", span(ago), result.replace('_', " "))
    }
}

/// How a server did in the last five minutes.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Server {
    #[serde(default)]
    pub(crate) kind: Shown,
    pub(crate) through: Shown,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) failed_secs_ago: Option<u64>,
    pub(crate) error: Option<Shown>,
    #[serde(default)]
    pub(crate) clock_ahead_secs: Option<f64>,
}

impl Server {
    /// By how much its clock differs from the one of the node's machine, if that is worth a word.
    pub(crate) fn clock_off(&self) -> Option<String> {
        let ahead = self.clock_ahead_secs.filter(|ahead| ahead.abs() > TOLERATED_SKEW_SECS)?;
        let word = if ahead > 0.0 { "ahead" } else { "behind" };
        Some(format!("{:.0} s {word}", ahead.abs()))
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Capacity {
    pub(crate) slots: u64,
    pub(crate) running: u64,
    #[serde(default)]
    pub(crate) memory_budget: u64,
    #[serde(default)]
    pub(crate) memory_promised: u64,
    #[serde(default)]
    pub(crate) memory_used: u64,
    pub(crate) memory_available: Option<u64>,
    #[serde(default)]
    pub(crate) memory_low: bool,
    #[serde(default)]
    pub(crate) descriptors_free: Option<u64>,
    #[serde(default)]
    pub(crate) descriptors_low: bool,
    #[serde(default)]
    pub(crate) threads: Option<u64>,
    pub(crate) folders: Vec<Folder>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Folder {
    pub(crate) variable: Shown,
    pub(crate) free_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) free_inodes: Option<u64>,
    pub(crate) low: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: Shown,
    pub(crate) capability: Shown,
    pub(crate) runner: Option<Shown>,
    pub(crate) state: Shown,
    pub(crate) reason: Option<Shown>,
    pub(crate) progress: Value,
    pub(crate) took_ms: u64,
    #[serde(default)]
    pub(crate) lease_ends_in_ms: Option<u64>,
    #[serde(default)]
    pub(crate) limits: Vec<Limit>,
    #[serde(default)]
    pub(crate) traffic: Traffic,
}

impl Task {
    /// Whether it is worked on.
    pub(crate) fn is_worked_on(&self) -> bool {
        ["starting", "running", "finishing"].contains(&&*self.state)
    }

    /// Its runner, or the capability that one is looked for.
    pub(crate) fn runner_or_capability(&self) -> &str {
        self.runner.as_deref().unwrap_or(&self.capability)
    }

    /// The part that is done, from 0 to 1, if its runner tells one.
    pub(crate) fn part_done(&self) -> Option<f64> {
        let part = self.progress.get("progress").and_then(Value::as_f64)?;
        part.is_finite().then(|| part.clamp(0.0, 1.0))
    }

    /// What its runner says that it is doing.
    pub(crate) fn stage(&self) -> Option<String> {
        self.progress.get("stage").and_then(Value::as_str).map(|stage| one_line(stage, 80))
    }

    /// What it uses of a limit, and the limit.
    pub(crate) fn limit(&self, name: &str) -> Option<(u64, u64)> {
        self.limits.iter().find(|limit| &*limit.limit == name).map(|limit| (limit.used, limit.of))
    }
}

/// How much is used of a limit.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Limit {
    pub(crate) limit: Shown,
    pub(crate) used: u64,
    pub(crate) of: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Traffic {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Totals {
    pub(crate) leased: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    pub(crate) lost: u64,
}

/// How often tasks failed in one way in the last hour.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Failures {
    pub(crate) kind: Shown,
    pub(crate) blame: Shown,
    pub(crate) count: u64,
}

/// A minute of the last hour in which a lease ended.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Minute {
    /// How long ago it began, in minutes.
    pub(crate) ago: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) median_ms: u64,
    pub(crate) p95_ms: u64,
}

/// A name in `PLUGINS_DIR`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Runner {
    pub(crate) name: Shown,
    /// Newest first.
    pub(crate) generations: Vec<Generation>,
    #[serde(default)]
    pub(crate) loading: Option<Loading>,
    pub(crate) refused: Option<Refused>,
    pub(crate) serves: Vec<Shown>,
    #[serde(default)]
    pub(crate) breaker: Option<Breaker>,
    #[serde(default)]
    pub(crate) canary_share: Option<f64>,
}

impl Runner {
    /// The capabilities that it serves, on one line.
    pub(crate) fn serves_line(&self) -> String {
        let names: Vec<&str> = self.serves.iter().map(Deref::deref).collect();
        one_line(names.join(", "), SHOWN_BYTES)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) version: Shown,
    #[serde(default)]
    pub(crate) stage: Shown,
    #[serde(default)]
    pub(crate) sha256: Shown,
    #[serde(default)]
    pub(crate) granted: Vec<Shown>,
    #[serde(default)]
    pub(crate) not_granted: Vec<Shown>,
    #[serde(default)]
    pub(crate) tasks: Runs,
}

/// How the runs of a generation ended.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Runs {
    pub(crate) running: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Loading {
    pub(crate) number: u64,
    pub(crate) stage: Shown,
    #[serde(default)]
    pub(crate) compiling_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Refused {
    pub(crate) number: u64,
    pub(crate) reason: Shown,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Breaker {
    pub(crate) state: Shown,
    #[serde(default)]
    pub(crate) half_open_in_secs: Option<u64>,
    #[serde(default)]
    pub(crate) why: Option<Shown>,
    #[serde(default)]
    pub(crate) last_failure: Option<Shown>,
}
