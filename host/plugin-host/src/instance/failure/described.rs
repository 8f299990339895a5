//! How a call of `describe` failed, in words: which limit it reached, and what sets that.

use crate::instance::failure::cause::{Cause, cause, root_cause};
use crate::instance::memory::RefusedGrowth;
use crate::manifest::limits::{Limit, LimitReached, Limits};

/// Why `describe` did not return.
pub(crate) fn why_not_described(
    error: &wasmtime::Error,
    refused: Option<&RefusedGrowth>,
    limits: &Limits,
) -> String {
    match cause(error, refused, limits) {
        Cause::Limit(limit) | Cause::Refused(RefusedGrowth { limit, .. }, _) => limit_in_describe(&limit),
        Cause::Fixed(limit) => limit.to_string(),
        Cause::Exit(code) => format!("it called exit({code})"),
        Cause::Trap(_) | Cause::Host(_) => root_cause(error),
    }
}

/// A limit that `describe` reached.
pub(crate) fn limit_in_describe(reached: &LimitReached) -> String {
    let (limit, value) = (reached.limit, reached.in_words());
    let setting = match limit {
        Limit::DeadlineMs | Limit::CpuTimeMs => "DESCRIBE_TIMEOUT_SECS",
        Limit::MemoryBytes | Limit::TableElements | Limit::Instances | Limit::Handles => {
            "NAME.toml, [limits], and nothing that the runner says: it is asked here what it needs"
        }
        _ => "nothing: it is fixed for `describe`",
    };
    format!("it reached {limit} of {value} in `describe`; what sets it: {setting}")
}
