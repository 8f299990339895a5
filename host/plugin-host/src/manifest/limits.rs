//! What a runner may use: the defaults, the node's maximum, what the operator sets for one runner, what
//! it asks for, and what counts.
//!
//! A pure function decides (`Limits::grant`); the instance enforces. Every limit has one name, used in
//! `NAME.toml`, in errors and in `fail.details`; the node's maximum is `RUNNER_MAX_` and that name.

use std::fmt;
use std::time::Duration;

use posemesh_text::{ByteSize, TimeSpan};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::manifest::amount::{AmountOf, LimitUnit};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MINUTE: u64 = 60_000;
const TIB: u64 = 1 << 40;
const DAY: u64 = 24 * 60 * MINUTE;

/// The operator's file, as messages call it.
const POLICY: &str = "NAME.toml";

/// One table makes the enum, the two structs and everything that goes through all limits, so that a limit is
/// added in one line: field, variant, the variable of the node's maximum, unit, default, and the maximum unless
/// that variable is set.
macro_rules! limits {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident, $limit:ident, $variable:literal, $unit:ident, $default:expr, $maximum:expr;
    )+) => {
        /// One of the limits of a run. The text is the one name: in `NAME.toml`, in errors and in `fail.details`.
        ///
        /// ```
        /// use posemesh_plugin_host::manifest::Limit;
        ///
        /// assert_eq!(Limit::MemoryBytes.to_string(), "memory_bytes");
        /// assert_eq!(Limit::MemoryBytes.variable(), "RUNNER_MAX_MEMORY_BYTES");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit {
            $($(#[doc = $doc])+ $limit,)+
        }

        impl Limit {
            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$limit => stringify!($name),)+
                }
            }

            /// The limit's place in the table.
            pub(crate) const fn order(self) -> usize {
                self as usize
            }

            /// The limit of this name.
            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$limit),)+
                    _ => None,
                }
            }

            /// The environment variable with the node's maximum.
            pub const fn variable(self) -> &'static str {
                match self {
                    $(Self::$limit => $variable,)+
                }
            }

            /// What it limits, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$limit => concat!($($doc),+).trim_start(),)+
                }
            }

            /// How that variable is written.
            pub const fn unit(self) -> LimitUnit {
                match self {
                    $(Self::$limit => LimitUnit::$unit,)+
                }
            }
        }

        /// The limits of one run. Sizes in bytes, times in milliseconds.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// Limits of which each may be left open: `[limits]` of `NAME.toml`, and what a runner asks for. A size may be a
        /// text such as `64MiB`, a time one such as `10min`.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
            /// The most that any runner gets, unless the node is configured otherwise.
            pub fn node_maximum() -> Self {
                Self { $($name: $maximum,)+ }
            }

            /// The value of one limit, in the unit of its name.
            pub const fn get(&self, limit: Limit) -> u64 {
                match limit {
                    $(Limit::$limit => self.$name,)+
                }
            }

            /// Changes each limit to what `value` makes of it, in the order in which people read them.
            #[must_use]
            pub fn map(self, mut value: impl FnMut(Limit, u64) -> u64) -> Self {
                Self { $($name: value(Limit::$limit, self.$name),)+ }
            }
        }

        impl LimitSettings {
            const fn get(&self, limit: Limit) -> Option<u64> {
                match limit {
                    $(Limit::$limit => self.$name,)+
                }
            }

            fn set(&mut self, limit: Limit, value: u64) {
                match limit {
                    $(Limit::$limit => self.$name = Some(value),)+
                }
            }

            /// The names of all limits.
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];
        }
    };
}

limits! {
    /// All that a run takes: its linear memories, and what the host holds for it (tables, instances, handles, bodies, headers,
    /// listings) beyond the first MiB.
    memory_bytes, MemoryBytes, "RUNNER_MAX_MEMORY_BYTES", Bytes, 512 * MIB, 4 * GIB;
    /// Elements, over all tables.
    table_elements, TableElements, "RUNNER_MAX_TABLE_ELEMENTS", Number, 100_000, 1_000_000;
    /// Core instances, memories and tables, each.
    instances, Instances, "RUNNER_MAX_INSTANCES", Number, 64, 256;
    /// Time from start to end.
    deadline_ms, DeadlineMs, "RUNNER_MAX_DEADLINE_MS", Millis, 60 * MINUTE, DAY;
    /// Time on the processor.
    cpu_time_ms, CpuTimeMs, "RUNNER_MAX_CPU_TIME_MS", Millis, 60 * MINUTE, DAY;
    /// Bytes in the sandbox directories (`/work`, `/tmp`), materialised inputs included.
    scratch_bytes, ScratchBytes, "RUNNER_MAX_SCRATCH_BYTES", Bytes, 4 * GIB, 64 * GIB;
    /// Files, folders and links in the sandbox directories.
    scratch_files, ScratchFiles, "RUNNER_MAX_SCRATCH_FILES", Number, 10_000, 1_000_000;
    /// Inputs that may be opened; each costs the domain server a request.
    input_requests, InputRequests, "RUNNER_MAX_INPUT_REQUESTS", Number, 1000, 1_000_000;
    /// Bytes over all inputs, those of parts that are skipped included.
    input_bytes, InputBytes, "RUNNER_MAX_INPUT_BYTES", Bytes, 64 * GIB, TIB;
    /// Bytes over all artifacts.
    output_bytes, OutputBytes, "RUNNER_MAX_OUTPUT_BYTES", Bytes, 16 * GIB, 64 * GIB;
    /// How many artifacts.
    artifacts, Artifacts, "RUNNER_MAX_ARTIFACTS", Number, 1000, 100_000;
    /// Bytes of standard output, standard error and `control.log` that are kept.
    log_bytes, LogBytes, "RUNNER_MAX_LOG_BYTES", Bytes, MIB, 64 * MIB;
    /// Bytes of JSON in one progress or event.
    report_bytes, ReportBytes, "RUNNER_MAX_REPORT_BYTES", Bytes, 64 * KIB, MIB;
    /// Events a second, with ten times that at once.
    events_per_second, EventsPerSecond, "RUNNER_MAX_EVENTS_PER_SECOND", Number, 20, 1000;
    /// Open handles: inputs, parts, artifacts, files, streams, requests; of the component's own resources, four times as
    /// many.
    handles, Handles, "RUNNER_MAX_HANDLES", Number, 1024, 65_536;
    /// Outbound HTTP requests; none without a granted host.
    http_requests, HttpRequests, "RUNNER_MAX_HTTP_REQUESTS", Number, 1000, 1_000_000;
    /// Bytes of bodies, there and back, over all outbound HTTP requests.
    http_bytes, HttpBytes, "RUNNER_MAX_HTTP_BYTES", Bytes, GIB, 64 * GIB;
    /// Time that one outbound HTTP request may take, its bodies included.
    http_timeout_ms, HttpTimeoutMs, "RUNNER_MAX_HTTP_TIMEOUT_MS", Millis, MINUTE, 60 * MINUTE;
}

/// Reads the name of a limit; an error about it is told with the place of the name.
struct LimitName;

impl<'de> de::DeserializeSeed<'de> for LimitName {
    type Value = Limit;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Limit, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl de::Visitor<'_> for LimitName {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a limit")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Limit, E> {
        Limit::named(name).ok_or_else(|| E::unknown_field(name, LimitSettings::NAMES))
    }
}

impl<'de> Deserialize<'de> for LimitSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Settings;

        impl<'de> de::Visitor<'de> for Settings {
            type Value = LimitSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of limits")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<LimitSettings, A::Error> {
                let mut settings = LimitSettings::default();
                while let Some(limit) = map.next_key_seed(LimitName)? {
                    settings.set(limit, map.next_value_seed(AmountOf(limit.unit()))?);
                }
                Ok(settings)
            }
        }

        deserializer.deserialize_map(Settings)
    }
}

impl Limits {
    /// What `describe` is called with: little of everything and no ports. What an instance needs before it says a word,
    /// memory, tables, instances and handles, is as much as a task of the runner gets, where that is more; the time is
    /// `describe`'s own.
    pub(crate) fn probe(set: &LimitSettings, maximum: &Self, defaults: &Self, time: Duration) -> Self {
        let deadline_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let probe = Self {
            memory_bytes: 256 * MIB,
            // Four times the processor time: on a busy machine, too, it is that which ends an endless loop.
            deadline_ms,
            cpu_time_ms: deadline_ms.div_ceil(4),
            scratch_bytes: 0,
            scratch_files: 0,
            input_requests: 0,
            input_bytes: 0,
            output_bytes: 0,
            artifacts: 0,
            log_bytes: 16 * KIB,
            http_requests: 0,
            http_bytes: 0,
            ..Self::default()
        };
        // Without a wish, since nothing was asked for yet.
        let (granted, _) = Self::grant(&LimitSettings::default(), set, maximum, defaults);
        probe.map(|limit, value| match limit {
            Limit::MemoryBytes | Limit::TableElements | Limit::Instances | Limit::Handles => {
                value.max(granted.get(limit))
            }
            _ => value,
        })
    }

    /// The wall-clock deadline.
    pub(crate) const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// This limit as the reason for a refusal.
    pub(crate) const fn reached(&self, limit: Limit) -> LimitReached {
        LimitReached { limit, value: self.get(limit) }
    }

    /// What counts, and where that is less than somebody wanted.
    ///
    /// The ceiling is what the operator sets for the runner, and never more than the node's maximum. A
    /// runner gets what it asks for up to the ceiling; when it asks for nothing, what the operator set, or
    /// the default.
    pub(crate) fn grant(
        asked: &LimitSettings,
        set: &LimitSettings,
        maximum: &Self,
        defaults: &Self,
    ) -> (Self, Vec<ReducedLimit>) {
        let mut reduced = Vec::new();
        let mut defaults = defaults.clone();
        // A runner that gets a longer deadline only means to compute for that long.
        let deadline = asked.deadline_ms.or(set.deadline_ms).unwrap_or(defaults.deadline_ms);
        defaults.cpu_time_ms = defaults.cpu_time_ms.max(deadline);
        let granted = defaults.map(|limit, default| {
            grant_one(limit, [asked.get(limit), set.get(limit)], [default, maximum.get(limit)], &mut reduced)
        });
        (granted, reduced)
    }
}

fn grant_one(
    limit: Limit,
    [asked, set]: [Option<u64>; 2],
    [default, maximum]: [u64; 2],
    reduced: &mut Vec<ReducedLimit>,
) -> u64 {
    // The maximum comes last: an operator's file for one runner can't lift what holds for the whole node.
    let ceiling = set.unwrap_or(maximum).min(maximum);
    let granted = asked.or(set).unwrap_or(default).min(ceiling);
    // The message must name the one setting whose change would help.
    let by = if set.is_some_and(|set| set <= maximum) { POLICY } else { limit.variable() };
    let mut note = |source, wanted, by| {
        reduced.push(ReducedLimit { limit, source, wanted, granted, by });
    };
    if let Some(set) = set.filter(|set| *set > maximum) {
        note(POLICY, set, limit.variable());
    }
    // What the operator set and the runner did not want is nobody's loss.
    if let Some(asked) = asked.filter(|asked| *asked > granted) {
        note("describe", asked, by);
    }
    granted
}

/// A limit for which a runner gets less than was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReducedLimit {
    pub(crate) limit: Limit,
    /// Who wanted more: `describe` or `NAME.toml`.
    pub(crate) source: &'static str,
    pub(crate) wanted: u64,
    pub(crate) granted: u64,
    /// What holds it down: `NAME.toml` or the node's variable.
    pub(crate) by: &'static str,
}

impl fmt::Display for ReducedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, source, wanted, granted, by } = self;
        let (wanted, granted) = (limit.in_words(*wanted), limit.in_words(*granted));
        write!(f, "{limit} of {wanted}, wanted by {source} ({granted} instead, by {by})")
    }
}

/// A limit that ended a run or refused a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitReached {
    pub(crate) limit: Limit,
    /// The value, in the unit of the name.
    pub(crate) value: u64,
}

impl LimitReached {
    /// The value as people write it.
    pub(crate) fn in_words(&self) -> String {
        self.limit.in_words(self.value)
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the runner reached its limit `{}` of {}; ", self.limit, self.in_words())?;
        match self.limit.request() {
            Some(request) => write!(f, "its author asks for more by `{request}` in `describe`, ")?,
            None => f.write_str("`describe` has no way to ask for more, ")?,
        }
        write!(f, "the operator sets it in NAME.toml, [limits], up to {}", self.limit.variable())
    }
}

impl std::error::Error for LimitReached {}

impl Limit {
    /// A value of this limit as people write it: `64MiB`, `10min`.
    pub fn in_words(self, value: u64) -> String {
        match self.unit() {
            LimitUnit::Bytes => ByteSize(value).to_string(),
            LimitUnit::Millis => TimeSpan(value).to_string(),
            LimitUnit::Number => value.to_string(),
        }
    }

    /// The field by which `describe` asks for it, as the WIT has it; none: it is only for the operator to set.
    pub(crate) const fn request(self) -> Option<&'static str> {
        Some(match self {
            Self::MemoryBytes => "requests.memory-bytes",
            Self::DeadlineMs => "requests.deadline-ms",
            Self::CpuTimeMs => "requests.cpu-time-ms",
            Self::ScratchBytes => "requests.scratch-bytes",
            Self::OutputBytes => "requests.output-bytes",
            Self::Artifacts => "requests.artifacts",
            _ => return None,
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
