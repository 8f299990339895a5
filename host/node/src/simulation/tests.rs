//! The simulation itself: it does the same each time, and each of its judges sees a planted fault.

use super::*;

/// Seeds of the ordinary test run; `cargo xtask simulate` runs many more.
const SEEDS: u64 = 200;
/// Seeds within which a planted fault has to be found.
const SEEDS_FOR_PLANTED: u64 = 400;

#[test]
fn every_invariant_holds_for_some_hundred_seeds() {
    let report = run_seeds(0, SEEDS, 1).unwrap();
    assert!(report.failed.is_empty(), "{:#?}; cargo xtask simulate --seed N --trace replays", report.failed);
    assert_eq!(report.seeds, SEEDS);
    assert!(report.leases > SEEDS && report.calls > 10 * SEEDS, "the seeds do something: {report:?}");
}

#[test]
fn a_seed_does_the_same_each_time() {
    for seed in 0..60 {
        let one = run_seed_twice(seed, None).unwrap();
        assert!(!one.trace.is_empty());
        assert_eq!(one.violations, [], "seed {seed}");
        let unwritten = run_seed(seed, false, None).unwrap();
        assert_eq!((unwritten.calls, unwritten.virtual_time), (one.calls, one.virtual_time), "seed {seed}");
    }
}

/// The fault is found within some seeds, and by this invariant.
fn is_caught(planted: Planted, by: Invariant) {
    for seed in 0..SEEDS_FOR_PLANTED {
        let report = run_seed_twice(seed, Some(planted)).unwrap();
        if report.violations.iter().any(|violation| violation.invariant == by) {
            assert!(report.trace.iter().any(|line| line.contains("VIOLATION")) || by == Invariant::SameAgain);
            // It is the planted fault that was seen, and nothing else.
            assert_eq!(run_seed_twice(seed, None).unwrap().violations, []);
            return;
        }
    }
    panic!("{planted:?} was not caught by {by:?} in {SEEDS_FOR_PLANTED} seeds");
}

/// One test for each planted fault.
macro_rules! planted {
    ($($name:ident: $planted:ident, $by:ident;)*) => {
        $(
            #[test]
            fn $name() {
                is_caught(Planted::$planted, Invariant::$by);
            }
        )*

        #[test]
        fn every_planted_fault_and_every_invariant_has_a_test() {
            let tested = [$((Planted::$planted, Invariant::$by)),*];
            for planted in Planted::ALL {
                assert!(tested.iter().any(|(tested, _)| *tested == planted), "{planted:?} has no test");
            }
            for invariant in Invariant::ALL {
                assert!(tested.iter().any(|(_, by)| *by == invariant), "nothing tests that {invariant:?} is seen");
            }
        }
    };
}

planted! {
    a_fail_after_an_accepted_complete_is_caught: FailsAfterComplete, OneEnd;
    a_report_after_an_accepted_one_is_caught: ReportsTwice, SilentAfterEnd;
    a_heartbeat_after_the_end_is_caught: HeartbeatAfterEnd, SilentAfterEnd;
    a_heartbeat_that_is_only_claimed_is_caught: ForgetsHeartbeats, HeartbeatInTime;
    a_report_that_is_only_claimed_is_caught: ForgetsReport, EndedAsSeen;
    a_failure_that_is_told_as_a_success_is_caught: MistakesFailure, EndedAsSeen;
    a_cancellation_that_is_not_heard_is_caught: IgnoresCancel, SilentAfterEnd;
    a_lease_too_many_is_caught: AsksWhileFull, NoLeaseBeyondConcurrency;
    a_lease_that_is_asked_for_while_stopping_is_caught: IgnoresStop, NoLeaseWhileDraining;
    a_stop_that_never_ends_is_caught: IgnoresStop, StopInTime;
    a_stop_that_takes_too_long_is_caught: StopsTooLate, StopInTime;
    a_task_that_is_left_behind_is_caught: LeaksTask, NoTaskLeft;
    a_queue_that_grows_without_bound_is_caught: KeepsAllEvents, QueuesBounded;
    a_lease_that_is_not_written_down_is_caught: WritesNoJournal, JournalIsRight;
    an_event_that_is_thrown_away_is_caught: LosesEvents, ReportsArrive;
    a_call_that_is_repeated_at_once_is_caught: TriesAgainAtOnce, NoFlood;
    a_choice_that_does_not_depend_on_the_seed_is_caught: IsNotDeterministic, SameAgain;
    a_node_that_asks_for_no_more_work_is_caught: GivesUpPolling, EveryTaskEnds;
    a_panic_is_caught: Panics, NoPanic;
}
