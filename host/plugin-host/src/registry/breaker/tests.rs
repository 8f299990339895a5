#![allow(clippy::panic)]

use super::*;

/// The middle of the spread: times are those that were set.
const MIDDLE: f64 = 0.5;

fn breaker() -> (Breaker, Instant) {
    (Breaker::new(BreakerPolicy::default()), Instant::now())
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn fails(breaker: &mut Breaker, now: Instant) -> Option<BreakerChange> {
    breaker.ended(None, Judgement::Failed("boom"), now, MIDDLE)
}

fn completes(breaker: &mut Breaker, now: Instant) -> Option<BreakerChange> {
    breaker.ended(None, Judgement::Completed, now, MIDDLE)
}

/// Opens a closed breaker by failures in a row; how long it opened for.
fn open(breaker: &mut Breaker, now: Instant) -> Duration {
    for _ in 0..100 {
        if let Some(BreakerChange::Opened(time, _)) = fails(breaker, now) {
            return time;
        }
    }
    panic!("a hundred failures did not open it: {breaker:?}")
}

/// Waits until it is half open, and gives the trial.
fn trial(breaker: &mut Breaker, now: &mut Instant) -> Option<Trial> {
    *now = breaker.due().unwrap_or(*now);
    assert_eq!(breaker.tick(*now), Some(BreakerChange::HalfOpened));
    let trial = breaker.begin();
    assert!(trial.is_some(), "a half-open breaker has one trial");
    trial
}

#[test]
fn it_opens_at_the_fifth_failure_in_a_row_and_says_why() {
    let (mut breaker, now) = breaker();
    for _ in 0..4 {
        assert_eq!(fails(&mut breaker, now), None);
    }
    assert_eq!(completes(&mut breaker, now), None, "which ends the row");
    for _ in 0..4 {
        assert_eq!(fails(&mut breaker, now), None);
    }
    assert!(breaker.admits());
    let Some(BreakerChange::Opened(time, reason)) = fails(&mut breaker, now) else { panic!("{breaker:?}") };
    assert_eq!(time, seconds(30));
    assert!(reason.why.contains("5 runs in a row failed"), "{reason:?}");
    assert_eq!(reason.last_failure, "boom");
    assert!(!breaker.admits());
    assert_eq!(breaker.due(), Some(now + seconds(30)));
}

#[test]
fn failures_that_are_not_the_runners_are_not_counted() {
    let (mut breaker, now) = breaker();
    for _ in 0..4 {
        fails(&mut breaker, now);
    }
    for _ in 0..100 {
        assert_eq!(breaker.ended(None, Judgement::Nothing, now, MIDDLE), None);
    }
    assert!(breaker.admits());
    assert!(fails(&mut breaker, now).is_some(), "and they do not end a row either");
}

#[test]
fn a_runner_that_fails_every_third_task_for_ever_is_taken_out_for_a_growing_time() {
    let (mut breaker, mut now) = breaker();
    let mut times = Vec::new();
    let mut trial_of_now = None;
    for run in 0..400_u32 {
        let judgement = if run % 3 == 2 { Judgement::Failed("one of three") } else { Judgement::Completed };
        if let Some(BreakerChange::Opened(time, _)) =
            breaker.ended(trial_of_now.take(), judgement, now, MIDDLE)
        {
            times.push(time.as_secs());
        }
        if breaker.due().is_some() {
            trial_of_now = trial(&mut breaker, &mut now);
        } else if !breaker.admits() {
            trial_of_now = breaker.begin();
        }
    }
    assert_eq!(times.first(), Some(&30), "{times:?}");
    assert!(times.is_sorted() && times.last() > Some(&240), "{times:?}");
}

#[test]
fn a_runner_that_fails_now_and_then_stays() {
    let (mut breaker, now) = breaker();
    for run in 0..1000 {
        let judgement = if run % 5 == 4 { Judgement::Failed("one of five") } else { Judgement::Completed };
        assert_eq!(breaker.ended(None, judgement, now, MIDDLE), None, "run {run}");
    }
}

#[test]
fn half_open_one_task_is_the_trial_and_closes_it() {
    let (mut breaker, mut now) = breaker();
    open(&mut breaker, now);
    assert_eq!(breaker.tick(now + seconds(29)), None, "its time is not over");
    let trial = trial(&mut breaker, &mut now);
    assert!(!breaker.admits(), "one is enough");
    assert_eq!(breaker.begin(), None);
    assert_eq!(fails(&mut breaker, now), None, "a run that began before it opened");
    assert_eq!(completes(&mut breaker, now), None);
    assert_eq!(breaker.ended(trial, Judgement::Completed, now, MIDDLE), Some(BreakerChange::Closed));
    assert!(breaker.admits());
}

#[test]
fn a_trial_that_fails_opens_it_for_twice_as_long_up_to_the_maximum() {
    let (mut breaker, mut now) = breaker();
    let mut times = vec![open(&mut breaker, now).as_secs()];
    for _ in 0..9 {
        let trial = trial(&mut breaker, &mut now);
        let change = breaker.ended(trial, Judgement::Failed("again"), now, MIDDLE);
        let Some(BreakerChange::Opened(time, _)) = change else { panic!("{change:?}") };
        times.push(time.as_secs());
    }
    assert_eq!(times, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    let trial = trial(&mut breaker, &mut now);
    let change = breaker.ended(trial, Judgement::Failed("again"), now, 1.0);
    let Some(BreakerChange::Opened(time, _)) = change else { panic!("{change:?}") };
    assert_eq!(time, seconds(3600), "whatever the spread");
}

#[test]
fn a_trial_that_says_nothing_leaves_the_next_task_to_be_the_trial() {
    let (mut breaker, mut now) = breaker();
    open(&mut breaker, now);
    let first = trial(&mut breaker, &mut now);
    assert_eq!(breaker.ended(first, Judgement::Nothing, now, MIDDLE), None);
    assert!(breaker.admits());
    let second = breaker.begin();
    assert!(second.is_some() && second != first);
    assert_eq!(breaker.ended(first, Judgement::Failed("late"), now, MIDDLE), None, "that trial is over");
    assert_eq!(breaker.ended(second, Judgement::Completed, now, MIDDLE), Some(BreakerChange::Closed));
}

#[test]
fn a_window_of_good_runs_makes_the_next_opening_short_again() {
    let (mut breaker, mut now) = breaker();
    open(&mut breaker, now);
    let first = trial(&mut breaker, &mut now);
    breaker.ended(first, Judgement::Completed, now, MIDDLE);
    assert_eq!(open(&mut breaker, now), seconds(60), "right after it closed");
    let second = trial(&mut breaker, &mut now);
    breaker.ended(second, Judgement::Completed, now, MIDDLE);
    for _ in 0..20 {
        completes(&mut breaker, now);
    }
    assert_eq!(open(&mut breaker, now), seconds(30));
}

#[test]
fn closed_by_the_operator_it_starts_anew_and_an_old_trial_is_not_taken_for_a_new_one() {
    let (mut breaker, mut now) = breaker();
    open(&mut breaker, now);
    let old = trial(&mut breaker, &mut now);
    assert!(breaker.close());
    assert!(!breaker.close(), "it was closed already");
    assert_eq!(open(&mut breaker, now), seconds(30));
    let new = trial(&mut breaker, &mut now);
    assert_ne!(old, new);
    assert_eq!(breaker.ended(old, Judgement::Completed, now, MIDDLE), None);
    assert!(!breaker.admits());
}

#[test]
fn nodes_do_not_come_back_at_the_same_moment() {
    let opened_for = |draw| {
        let (mut breaker, now) = breaker();
        let changes = (0..5).filter_map(|_| breaker.ended(None, Judgement::Failed(""), now, draw)).next();
        let Some(BreakerChange::Opened(time, _)) = changes else { panic!("{breaker:?}") };
        time
    };
    assert_eq!((opened_for(0.0), opened_for(1.0)), (seconds(24), seconds(36)));
}

#[test]
fn without_a_breaker_nothing_opens() {
    let mut breaker = Breaker::new(BreakerPolicy { enabled: false, ..BreakerPolicy::default() });
    for _ in 0..100 {
        assert_eq!(fails(&mut breaker, Instant::now()), None);
    }
    assert!(breaker.admits() && breaker.status().is_none());
}
