//! What a runner may use: the defaults, the node's maximum, what the operator sets for one runner, what
//! it asks for, and what counts.
//!
//! A pure function decides ([`Limits::grant`]); the sandbox enforces. Every limit has one name, used in
//! `NAME.toml`, in errors and in `fail.details`; the node's maximum is `RUNNER_MAX_` and that name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// How a limit is written in an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, with units such as `MiB`.
    Bytes,
    /// A whole number: milliseconds or a count.
    Number,
}

/// A limit, as configuration sees it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The variable with the node's maximum.
    pub variable: &'static str,
    /// How that is written.
    pub unit: Unit,
}

/// One table: name, the variable of the node's maximum, unit, default, the maximum unless it is set.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident, $variable:literal, $unit:ident, $default:expr, $maximum:expr;)+) => {
        /// The limits of one run. Sizes in bytes, times in milliseconds.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// Limits of which each may be left open: `[limits]` of `NAME.toml`, and what a runner asks for.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct LimitSettings {
            $(
                #[doc = concat!("See [`Limits::", stringify!($name), "`].")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<u64>,
            )+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// All limits, in the order in which people read them.
            pub const FIELDS: &[Field] = &[
                $(Field { name: stringify!($name), variable: $variable, unit: Unit::$unit },)+
            ];

            /// The most that any runner gets, unless the node is configured otherwise.
            pub fn node_maximum() -> Self {
                Self { $($name: $maximum,)+ }
            }

            /// Changes each limit to what `value` makes of it.
            pub fn map(self, mut value: impl FnMut(&'static Field, u64) -> u64) -> Self {
                let mut fields = Self::FIELDS.iter();
                Self { $($name: fields.next().map_or(self.$name, |field| value(field, self.$name)),)+ }
            }

            fn settle_all(
                asked: &LimitSettings,
                set: &LimitSettings,
                maximum: &Limits,
                defaults: &Limits,
                reduced: &mut Vec<Reduced>,
            ) -> Limits {
                Limits {
                    $($name: settle(
                        Field { name: stringify!($name), variable: $variable, unit: Unit::$unit },
                        [asked.$name, set.$name],
                        [defaults.$name, maximum.$name],
                        reduced,
                    ),)+
                }
            }
        }
    };
}

limits! {
    /// Linear memory, over all memories of the component.
    memory_bytes, "RUNNER_MAX_MEMORY_BYTES", Bytes, 512 * MIB, 4 * GIB;
    /// Elements, over all tables.
    table_elements, "RUNNER_MAX_TABLE_ELEMENTS", Number, 100_000, 1_000_000;
    /// Core instances, memories and tables, each.
    instances, "RUNNER_MAX_INSTANCES", Number, 64, 256;
    /// Time from start to end.
    deadline_ms, "RUNNER_MAX_DEADLINE_MS", Number, 10 * MINUTE, DAY;
    /// Time on the processor.
    cpu_time_ms, "RUNNER_MAX_CPU_TIME_MS", Number, 10 * MINUTE, DAY;
    /// Bytes in the sandbox directory, materialised inputs included.
    scratch_bytes, "RUNNER_MAX_SCRATCH_BYTES", Bytes, 4 * GIB, 64 * GIB;
    /// Files, folders and links in the sandbox directory.
    scratch_files, "RUNNER_MAX_SCRATCH_FILES", Number, 10_000, 1_000_000;
    /// Bytes over all artifacts.
    output_bytes, "RUNNER_MAX_OUTPUT_BYTES", Bytes, 16 * GIB, 64 * GIB;
    /// How many artifacts.
    artifacts, "RUNNER_MAX_ARTIFACTS", Number, 1000, 100_000;
    /// Bytes of standard output, standard error and `control.log` that are kept.
    log_bytes, "RUNNER_MAX_LOG_BYTES", Bytes, MIB, 64 * MIB;
    /// Bytes of JSON in one progress or event.
    report_bytes, "RUNNER_MAX_REPORT_BYTES", Bytes, 64 * KIB, MIB;
    /// Events a second, with ten times that at once.
    events_per_second, "RUNNER_MAX_EVENTS_PER_SECOND", Number, 20, 1000;
    /// Open handles: inputs, parts, artifacts, files, streams, requests.
    handles, "RUNNER_MAX_HANDLES", Number, 1024, 65_536;
    /// Outbound HTTP requests; none without a granted host.
    http_requests, "RUNNER_MAX_HTTP_REQUESTS", Number, 1000, 1_000_000;
    /// Bytes of bodies, there and back, over all outbound HTTP requests.
    http_bytes, "RUNNER_MAX_HTTP_BYTES", Bytes, GIB, 64 * GIB;
    /// Time that one outbound HTTP request may take, its bodies included.
    http_timeout_ms, "RUNNER_MAX_HTTP_TIMEOUT_MS", Number, MINUTE, 60 * MINUTE;
}

impl Limits {
    /// What `describe` is called with: little of everything and no ports.
    pub fn probe() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            // Four times the processor time: on a busy machine, too, it is that which ends an endless loop.
            deadline_ms: 20_000,
            cpu_time_ms: 5_000,
            scratch_bytes: 0,
            scratch_files: 0,
            output_bytes: 0,
            artifacts: 0,
            log_bytes: 16 * KIB,
            http_requests: 0,
            http_bytes: 0,
            ..Self::default()
        }
    }

    /// The wall-clock deadline.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// What counts, and where that is less than somebody wanted.
    ///
    /// The ceiling is what the operator sets for the runner, and never more than the node's maximum. A
    /// runner gets what it asks for up to the ceiling; when it asks for nothing, what the operator set, or
    /// the default.
    pub fn grant(asked: &LimitSettings, set: &LimitSettings, maximum: &Limits) -> (Limits, Vec<Reduced>) {
        let mut reduced = Vec::new();
        let mut defaults = Limits::default();
        // A runner that gets a longer deadline only means to compute for that long.
        let deadline = asked.deadline_ms.or(set.deadline_ms).unwrap_or(defaults.deadline_ms);
        defaults.cpu_time_ms = defaults.cpu_time_ms.max(deadline);
        let granted = Self::settle_all(asked, set, maximum, &defaults, &mut reduced);
        (granted, reduced)
    }
}

fn settle(
    field: Field,
    [asked, set]: [Option<u64>; 2],
    [default, maximum]: [u64; 2],
    reduced: &mut Vec<Reduced>,
) -> u64 {
    let ceiling = set.unwrap_or(maximum).min(maximum);
    let granted = asked.or(set).unwrap_or(default).min(ceiling);
    let by = if set.is_some_and(|set| set <= maximum) { "NAME.toml" } else { field.variable };
    let mut tell = |source, asked, by| {
        reduced.push(Reduced { limit: field.name, source, asked, granted, by });
    };
    if let Some(set) = set.filter(|set| *set > maximum) {
        tell("NAME.toml", set, field.variable);
    }
    // What the operator set and the runner did not want is nobody's loss.
    if let Some(asked) = asked.filter(|asked| *asked > granted) {
        tell("describe", asked, by);
    }
    granted
}

/// A limit for which a runner gets less than was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reduced {
    /// The limit's name.
    pub limit: &'static str,
    /// Who wanted it: `describe` or `NAME.toml`.
    pub source: &'static str,
    /// What was wanted.
    pub asked: u64,
    /// What counts.
    pub granted: u64,
    /// What holds it down: `NAME.toml` or the node's variable.
    pub by: &'static str,
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
mod tests;
