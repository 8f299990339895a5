//! What ended a guest, by the error that its call ended with and by what happened before.
//!
//! A guest that is refused memory mostly aborts, and then the trap is a symptom. But a guest may also cope with the
//! refusal and fail of something else later. So a refused growth is taken for the cause only
//!
//! - of an instance that could not be made, since its first memory or table was refused; or
//! - of an abort (the instruction `unreachable`) or an exit, if what the guest printed since speaks of memory; or
//! - of an abort, if the guest printed nothing since, and no growth of that kind has succeeded since.
//!
//! In any other case the trap is the cause, and the refusal is told beside it.

use posemesh_text::one_line;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;

use crate::instance::host_error::host_error;
use crate::instance::memory::RefusedGrowth;
use crate::manifest::fixed_limit::FixedLimit;
use crate::manifest::limits::{Limit, LimitReached, Limits};

/// The longest root cause, in bytes.
const MAX_ROOT_CAUSE: usize = 1000;
/// What the words of runtimes have in common when there is no memory.
const SIGNS_OF_NO_MEMORY: [&str; 9] = [
    "memory allocation",
    "out of memory",
    "out-of-memory",
    "outofmemory",
    "bad_alloc",
    "allocerror",
    "cannot allocate memory",
    "failed to allocate",
    "memoryerror",
];

/// What ended a guest.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// A limit.
    Limit(LimitReached),
    /// A limit that nobody sets.
    Fixed(FixedLimit),
    /// A growth was refused, and the guest ended of that; how.
    Refused(RefusedGrowth, String),
    /// The guest called `exit`.
    Exit(i32),
    /// The guest trapped.
    Trap(String),
    /// This machine had not what the guest needed.
    Host(String),
}

/// Finds out what ended a guest.
pub(crate) fn cause(error: &wasmtime::Error, refused: Option<&RefusedGrowth>, limits: &Limits) -> Cause {
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return Cause::Limit(limit.clone());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Cause::Limit(limits.reached(Limit::Handles));
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref() {
        return Cause::Fixed(FixedLimit::StackBytes);
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return match refused.filter(|refused| words_since(refused) == Words::OfMemory) {
            Some(refused) => Cause::Refused(refused.clone(), format!("it called exit({})", exit.0)),
            None => Cause::Exit(exit.0),
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let told = root_cause(error);
        return match refused.filter(|refused| *trap == Trap::UnreachableCodeReached && ended_of(refused)) {
            Some(refused) => Cause::Refused(refused.clone(), told),
            None => Cause::Trap(told),
        };
    }
    // wasmtime has no types for these, which are its own and not the guest's words.
    let own = one_line(error.root_cause(), MAX_ROOT_CAUSE);
    if let Some(limit) = limit_in_words(&own, limits) {
        return limit;
    }
    let first_growth = own.contains("exceeds memory limits") || own.contains("exceeds table limits");
    match (refused, host_error(error)) {
        (Some(refused), _) if first_growth => Cause::Refused(refused.clone(), own),
        (_, Some(host)) => Cause::Host(one_line(host, MAX_ROOT_CAUSE)),
        _ => Cause::Trap(own),
    }
}

/// The limit that one of wasmtime's own errors without a type stands for. A test of each makes wasmtime say it.
fn limit_in_words(own: &str, limits: &Limits) -> Option<Cause> {
    let handle = |what: &str| own.starts_with(what) && own.ends_with("store handle limit exceeded");
    if own.starts_with("resource limit exceeded") {
        Some(Cause::Limit(limits.reached(Limit::Instances)))
    } else if handle("cannot allocate another handle: ") || handle("cannot lend resource: ") {
        Some(Cause::Limit(limits.reached(Limit::Handles)))
    } else if own.starts_with("resource table has no free keys") {
        // On its way through other types of errors it may have lost its own.
        Some(Cause::Limit(limits.reached(Limit::Handles)))
    } else if own.starts_with("too much data is being copied between the host and the guest") {
        Some(Cause::Fixed(FixedLimit::CallBytes))
    } else if own.starts_with("requested len ") && own.contains(" exceeds limit ") {
        Some(Cause::Fixed(FixedLimit::RandomBytes))
    } else if own == "total size of fields exceeds limit" || own == "too many fields in the field map" {
        Some(Cause::Fixed(FixedLimit::HeaderBytes))
    } else {
        None
    }
}

/// Whether an abort is the end of a guest that was refused a growth.
fn ended_of(refused: &RefusedGrowth) -> bool {
    match words_since(refused) {
        Words::OfMemory => true,
        Words::None => !refused.grown_since,
        Words::OfOtherThings => false,
    }
}

/// What a guest printed since a growth was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    None,
    OfMemory,
    OfOtherThings,
}

fn words_since(refused: &RefusedGrowth) -> Words {
    match refused.log.lines_since(refused.lines_before) {
        // More than are kept: it went on.
        None => Words::OfOtherThings,
        Some(lines) if lines.is_empty() => Words::None,
        Some(lines) if lines.iter().any(|line| speaks_of_memory(line)) => Words::OfMemory,
        Some(_) => Words::OfOtherThings,
    }
}

fn speaks_of_memory(line: &str) -> bool {
    let line = line.to_lowercase();
    SIGNS_OF_NO_MEMORY.iter().any(|sign| line.contains(sign))
}

/// What caused a wasmtime error, in words.
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "unreachable code was reached (a panic or an abort)".to_owned(),
        Some(Trap::StackOverflow) => "the stack overflowed".to_owned(),
        Some(trap) => trap.to_string(),
        None => one_line(error.root_cause(), MAX_ROOT_CAUSE),
    }
}

#[cfg(test)]
mod tests;
