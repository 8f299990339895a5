use std::io;

use tracing::{Level, Span};

use super::*;
use crate::instance::runner_log::RunnerLog;

const UNREACHABLE: &str = "unreachable code was reached (a panic or an abort)";

/// A log to which `before` was printed before a growth was refused by a limit, and `after` after it.
fn refusal(before: &[&str], after: &[&str]) -> RefusedGrowth {
    let log = RunnerLog::new(1 << 20, Span::none());
    before.iter().for_each(|line| log.line("stderr", Level::INFO, line));
    let limit = LimitReached { limit: Limit::MemoryBytes, value: 9 };
    let refused = RefusedGrowth { limit, grown_since: false, lines_before: log.lines(), log: log.clone() };
    after.iter().for_each(|line| log.line("stderr", Level::INFO, line));
    refused
}

fn cause_of(error: wasmtime::Error, refused: &RefusedGrowth) -> Cause {
    cause(&error, Some(refused), &Limits::default())
}

fn trap_of(cause: &Cause) -> Option<&str> {
    match cause {
        Cause::Trap(trap) => Some(trap),
        _ => None,
    }
}

fn is_refused(cause: &Cause) -> bool {
    matches!(cause, Cause::Refused(..))
}

#[test]
fn a_division_by_zero_after_a_refused_growth_is_a_division_by_zero() {
    let quiet = refusal(&[], &[]);
    for trap in [Trap::IntegerDivisionByZero, Trap::MemoryOutOfBounds, Trap::BadSignature] {
        let told = root_cause(&trap.into());
        assert_eq!(trap_of(&cause_of(trap.into(), &quiet)), Some(told.as_str()));
    }
}

#[test]
fn an_abort_right_after_a_refused_growth_is_of_that() {
    let cause = cause_of(Trap::UnreachableCodeReached.into(), &refusal(&["working"], &[]));
    assert!(matches!(&cause, Cause::Refused(_, trap) if trap == UNREACHABLE), "{cause:?}");
    let said = refusal(&[], &["memory allocation of 65536 bytes failed"]);
    assert!(is_refused(&cause_of(Trap::UnreachableCodeReached.into(), &said)));
    let panicked = refusal(&[], &["thread 'main' panicked at src/lib.rs:7:5:", "no room: AllocError"]);
    assert!(is_refused(&cause_of(Trap::UnreachableCodeReached.into(), &panicked)));
}

#[test]
fn an_abort_of_a_guest_that_went_on_after_the_refusal_is_its_own() {
    let grown = RefusedGrowth { grown_since: true, ..refusal(&[], &[]) };
    let panicked = refusal(&[], &["thread 'main' panicked at src/lib.rs:7:5:", "index out of bounds"]);
    let went_on = refusal(&["out of memory, says an earlier line"], &["smaller pieces then"]);
    let chatty = refusal(&[], &["line"; 50]);
    for case in [grown, panicked, went_on, chatty] {
        let cause = cause_of(Trap::UnreachableCodeReached.into(), &case);
        assert_eq!(trap_of(&cause), Some(UNREACHABLE), "{case:?}");
    }
}

#[test]
fn an_exit_is_of_the_refusal_only_if_the_guest_says_so() {
    let exit = || wasmtime::Error::from(wasmtime_wasi::I32Exit(2));
    assert!(matches!(cause_of(exit(), &refusal(&[], &[])), Cause::Exit(2)));
    let go = refusal(&[], &["fatal error: runtime: out of memory"]);
    assert!(is_refused(&cause_of(exit(), &go)));
}

#[test]
fn an_instance_whose_first_memory_is_refused_reached_its_limit() {
    let error = wasmtime::Error::msg("memory minimum size of 9000 pages exceeds memory limits");
    assert!(is_refused(&cause_of(error, &refusal(&[], &[]))));
    let other = wasmtime::Error::msg("unknown handle index 7");
    assert_eq!(trap_of(&cause_of(other, &refusal(&[], &[]))), Some("unknown handle index 7"));
}

#[test]
fn what_this_machine_did_not_have_is_the_hosts_and_an_error_that_names_its_limit_is_that() {
    let quiet = refusal(&[], &[]);
    let no_memory = wasmtime::Error::from(io::Error::from_raw_os_error(12)).context("reserving a memory");
    let cause = cause_of(no_memory, &quiet);
    assert!(matches!(&cause, Cause::Host(text) if text.contains("os error 12")), "{cause:?}");
    let limit = LimitReached { limit: Limit::CpuTimeMs, value: 5 };
    assert!(matches!(cause_of(limit.clone().into(), &quiet), Cause::Limit(found) if found == limit));
}

#[test]
fn what_the_engine_caps_without_a_type_of_error_has_a_name_all_the_same() {
    let quiet = refusal(&[], &[]);
    let cause = cause_of(wasmtime::Error::from(Trap::StackOverflow).context("calling"), &quiet);
    assert!(matches!(cause, Cause::Fixed(FixedLimit::StackBytes)), "{cause:?}");
    for (words, limit) in [
        ("resource limit exceeded: memory count too high at 65", Limit::Instances),
        ("cannot allocate another handle: store handle limit exceeded", Limit::Handles),
        ("cannot lend resource: store handle limit exceeded", Limit::Handles),
        ("resource table has no free keys", Limit::Handles),
    ] {
        let cause = cause_of(wasmtime::Error::msg(words).context("outside"), &quiet);
        assert!(matches!(&cause, Cause::Limit(found) if found.limit == limit), "{words}: {cause:?}");
    }
    for (words, limit) in [
        (
            "too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted",
            FixedLimit::CallBytes,
        ),
        ("requested len 1099511627776 exceeds limit 1048576", FixedLimit::RandomBytes),
        ("total size of fields exceeds limit", FixedLimit::HeaderBytes),
    ] {
        let cause = cause_of(wasmtime::Error::msg(words), &quiet);
        assert!(matches!(cause, Cause::Fixed(found) if found == limit), "{words}: {cause:?}");
    }
    let unnamed = cause_of(wasmtime::Error::msg("it says: cannot lend resource: x"), &quiet);
    assert!(trap_of(&unnamed).is_some(), "{unnamed:?}");
}
