//! What a runner may use: the defaults, what it asked for, what the operator allows, and what counts.
//!
//! A pure function decides ([`Limits::grant`]); the sandbox enforces. Every limit has one name, used in
//! `NAME.toml`, in errors and in `fail.details`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;

/// The limits of one run. Sizes in bytes, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory, over all memories of the component.
    pub memory_bytes: u64,
    /// Elements, over all tables.
    pub table_elements: u64,
    /// Core instances, memories and tables, each.
    pub instances: u64,
    /// Time from start to end.
    pub deadline_ms: u64,
    /// Time on the processor.
    pub cpu_time_ms: u64,
    /// Bytes in the sandbox directory, materialised inputs included.
    pub scratch_bytes: u64,
    /// Bytes over all artifacts.
    pub output_bytes: u64,
    /// How many artifacts.
    pub artifacts: u64,
    /// Bytes of standard output, standard error and `control.log` that are kept.
    pub log_bytes: u64,
    /// Bytes of JSON in one progress or event.
    pub report_bytes: u64,
    /// Events a second, with ten times that at once.
    pub events_per_second: u64,
    /// Open handles: inputs, parts, artifacts, files, streams.
    pub handles: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * MIB,
            table_elements: 100_000,
            instances: 64,
            deadline_ms: 10 * 60_000,
            cpu_time_ms: 10 * 60_000,
            scratch_bytes: 4096 * MIB,
            output_bytes: 16_384 * MIB,
            artifacts: 1000,
            log_bytes: MIB,
            report_bytes: 64 << 10,
            events_per_second: 20,
            handles: 1024,
        }
    }
}

impl Limits {
    /// The most that any runner gets unless the operator says otherwise for it.
    pub fn node_maximum() -> Self {
        Self {
            memory_bytes: 4096 * MIB,
            deadline_ms: 24 * 3_600_000,
            cpu_time_ms: 24 * 3_600_000,
            scratch_bytes: 65_536 * MIB,
            output_bytes: 65_536 * MIB,
            ..Self::default()
        }
    }

    /// What `describe` is called with: little of everything and no ports.
    pub fn probe() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            deadline_ms: 10_000,
            cpu_time_ms: 5_000,
            scratch_bytes: 0,
            output_bytes: 0,
            artifacts: 0,
            log_bytes: 16 << 10,
            ..Self::default()
        }
    }

    /// The wall-clock deadline.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

/// What a runner asks for in `describe` (`requests` of the WIT); absent means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LimitRequests {
    /// See [`Limits::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// See [`Limits::deadline_ms`].
    pub deadline_ms: Option<u64>,
    /// See [`Limits::cpu_time_ms`].
    pub cpu_time_ms: Option<u64>,
    /// See [`Limits::scratch_bytes`].
    pub scratch_bytes: Option<u64>,
    /// See [`Limits::output_bytes`].
    pub output_bytes: Option<u64>,
}

/// A limit for which a runner gets less than it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reduced {
    /// The limit's name.
    pub limit: &'static str,
    /// What was asked.
    pub asked: u64,
    /// What counts.
    pub granted: u64,
}

impl Limits {
    /// The smaller of what was asked and what is allowed; what was not asked for gets the default, but
    /// never more than is allowed. Also tells where less was given than asked.
    pub fn grant(asked: &LimitRequests, allowed: &Limits) -> (Limits, Vec<Reduced>) {
        let mut granted = Limits::default();
        let mut reduced = Vec::new();
        let mut settle = |limit, asked: Option<u64>, default: u64, allowed: u64| {
            let wanted = asked.unwrap_or(default);
            let got = wanted.min(allowed);
            if asked.is_some() && got < wanted {
                reduced.push(Reduced { limit, asked: wanted, granted: got });
            }
            got
        };
        granted.memory_bytes =
            settle("memory_bytes", asked.memory_bytes, granted.memory_bytes, allowed.memory_bytes);
        granted.deadline_ms =
            settle("deadline_ms", asked.deadline_ms, granted.deadline_ms, allowed.deadline_ms);
        // A runner that asks for a longer deadline only means to compute for that long.
        let cpu_default = granted.cpu_time_ms.max(granted.deadline_ms);
        granted.cpu_time_ms = settle("cpu_time_ms", asked.cpu_time_ms, cpu_default, allowed.cpu_time_ms);
        granted.scratch_bytes =
            settle("scratch_bytes", asked.scratch_bytes, granted.scratch_bytes, allowed.scratch_bytes);
        granted.output_bytes =
            settle("output_bytes", asked.output_bytes, granted.output_bytes, allowed.output_bytes);
        granted.table_elements = allowed.table_elements;
        granted.instances = allowed.instances;
        granted.artifacts = allowed.artifacts;
        granted.log_bytes = allowed.log_bytes;
        granted.report_bytes = allowed.report_bytes;
        granted.events_per_second = allowed.events_per_second;
        granted.handles = allowed.handles;
        (granted, reduced)
    }
}

/// A limit that ended a run or refused a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the runner reached its limit `{name}` of {value}; the operator sets it in NAME.toml, [limits]")]
pub struct LimitReached {
    /// The limit's name.
    pub name: &'static str,
    /// Its value, with the unit of the name.
    pub value: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_the_smaller_of_asked_and_allowed_and_the_difference_is_told() {
        let allowed = Limits { memory_bytes: 100, ..Limits::node_maximum() };
        let asked = LimitRequests { memory_bytes: Some(200), deadline_ms: Some(5), ..Default::default() };
        let (granted, reduced) = Limits::grant(&asked, &allowed);
        assert_eq!((granted.memory_bytes, granted.deadline_ms), (100, 5));
        assert_eq!(reduced, [Reduced { limit: "memory_bytes", asked: 200, granted: 100 }]);
    }

    #[test]
    fn what_was_not_asked_for_gets_the_default_but_never_more_than_allowed() {
        let allowed = Limits { memory_bytes: 7, ..Limits::node_maximum() };
        let (granted, reduced) = Limits::grant(&LimitRequests::default(), &allowed);
        assert_eq!(granted.memory_bytes, 7);
        assert_eq!(granted.scratch_bytes, Limits::default().scratch_bytes);
        assert!(reduced.is_empty(), "nobody asked");
    }
}
