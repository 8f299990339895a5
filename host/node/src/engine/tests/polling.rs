//! When the engine asks for work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::lease::ServerErrorKind;
use posemesh_runner_api::runner::RunnerCall;

#[tokio::test(start_paused = true)]
async fn an_idle_node_asks_at_random_times_within_the_bounds() {
    let running = Running::start(Rig::new(|_| async { Ok(()) }).await, EngineSettings::default());
    sleep(3600 * SECOND).await;
    let gaps = running.gaps("lease");
    assert!(gaps.len() > 100, "{} polls in an hour", gaps.len());
    assert!(gaps.iter().all(|gap| (SECOND..=31 * SECOND).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < 10 * SECOND) && gaps.iter().any(|gap| *gap > 20 * SECOND));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_work_the_next_lease_is_asked_for_at_once() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    for _ in 0..20 {
        rig.server.on_lease(Duration::ZERO, work());
    }
    let running = Running::start(rig, EngineSettings::default());
    running.rig.server.saw("complete", 20).await;
    assert!(running.began.elapsed() < SECOND, "{:?}", running.began.elapsed());
    assert_eq!(running.stop().await, Totals { leased: 20, completed: 20, ..Totals::default() });
}

#[tokio::test(start_paused = true)]
async fn never_more_leases_than_workers() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let rig = Rig::new(move |_| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(SECOND).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    for _ in 0..30 {
        rig.server.on_lease(Duration::ZERO, work());
    }
    let running = Running::start(rig, EngineSettings { max_concurrency: 3, ..EngineSettings::default() });
    running.rig.server.saw("complete", 30).await;
    assert_eq!(seen.load(Ordering::SeqCst), 3, "all workers are used and no more");
    assert!(running.began.elapsed() < 12 * SECOND, "{:?}", running.began.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn busy_with_a_lease_of_ours_waits_for_its_end() {
    let rig = Rig::new(|_| async {
        sleep(5 * SECOND).await;
        Ok(())
    })
    .await;
    rig.server.on_lease(Duration::ZERO, work());
    rig.server.on_lease(Duration::ZERO, Ok(LeaseAnswer::Busy));
    rig.server.on_lease(Duration::ZERO, work());
    let running = Running::start(rig, EngineSettings { max_concurrency: 2, ..EngineSettings::default() });
    running.rig.server.saw("lease", 3).await;
    let gap = running.gaps("lease")[1];
    assert!((5 * SECOND..6 * SECOND).contains(&gap), "not before and at once after it, not {gap:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn leases_that_get_nowhere_are_not_asked_for_in_a_loop() {
    let cancelled = || {
        let mut lease = lease(CAPABILITY);
        lease.cancel = true;
        lease
    };
    let cases: [(&str, &dyn Fn() -> LeaseAnswer); 3] = [
        ("no runner", &|| LeaseAnswer::Lease(Box::new(lease("/other/v1")))),
        ("cancelled", &|| LeaseAnswer::Lease(Box::new(cancelled()))),
        ("unreadable", &|| LeaseAnswer::Undecodable { task_id: None, error: "no JSON".into() }),
    ];
    for (case, answer) in cases {
        let rig = Rig::new(|_| async { Ok(()) }).await;
        for _ in 0..1000 {
            rig.server.on_lease(Duration::ZERO, Ok(answer()));
        }
        let running = Running::start(rig, EngineSettings::default());
        sleep(600 * SECOND).await;
        let polls = running.rig.server.count("lease");
        assert!((20..=45).contains(&polls), "{case}: {polls} polls in ten minutes");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_lease_with_an_id_is_given_back() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    let answer = LeaseAnswer::Undecodable {
        task_id: Some(Uuid::nil()),
        error: "the answer lacks the field `id`".into(),
    };
    rig.server.on_lease(Duration::ZERO, Ok(answer));
    let running = Running::start(rig, EngineSettings::default());
    running.rig.server.saw("fail", 1).await;
    let (reason, details) = running.rig.server.failure();
    assert_eq!(reason, "node_setup_failed");
    assert_eq!(
        details,
        json!({"stage": "start_session",
        "error": "the lease can't be read: the answer lacks the field `id`"})
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn errors_back_off_exponentially() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    for _ in 0..6 {
        rig.server.on_lease(Duration::ZERO, Err(broken()));
    }
    let after = ServerErrorKind::Retryable { retry_after: Some(90 * SECOND), outcome_unknown: false };
    rig.server.on_lease(Duration::ZERO, Err(error(after)));
    let running = Running::start(rig, EngineSettings::default());
    running.rig.server.saw("lease", 8).await;
    let gaps = running.gaps("lease");
    for (gap, (low, high)) in gaps.iter().zip([(1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30), (90, 90)])
    {
        let rounding = Duration::from_millis(10);
        assert!(*gap >= low * SECOND && *gap <= high * SECOND + rounding, "{gap:?} is not {low} to {high} s");
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_work_is_asked_for_without_registration_or_live_runners() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    rig.runners.capabilities.send_replace(BTreeSet::new());
    let running = Running::start(rig, EngineSettings::default());
    running.ready.send_replace(false);
    sleep(100 * SECOND).await;
    running.ready.send_replace(true);
    sleep(100 * SECOND).await;
    assert_eq!(running.rig.server.count("lease"), 0, "there is no live runner");
    running.rig.runners.capabilities.send_replace(BTreeSet::from([CAPABILITY.to_owned()]));
    running.rig.server.saw("lease", 1).await;
    assert_eq!(running.began.elapsed().as_secs(), 200, "at once when there is");
    running.ready.send_replace(false);
    sleep(SECOND).await;
    let before = running.rig.server.count("lease");
    sleep(100 * SECOND).await;
    assert_eq!(running.rig.server.count("lease"), before, "not while registration is lost");
    running.stop().await;
}

/// An engine with two workers that gets the same task twice; only the second run comes to an end.
async fn leased_twice(prepare: impl FnOnce(&Rig)) -> (Arc<ScriptedServer>, Totals) {
    let runs = AtomicUsize::new(0);
    let rig = Rig::new(move |call: RunnerCall| {
        let first = runs.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                call.reports.stop_token().cancelled().await;
                sleep(SECOND).await;
            }
            Ok(())
        }
    })
    .await;
    let task = lease(CAPABILITY);
    let again = || Ok(LeaseAnswer::Lease(Box::new(task.clone())));
    rig.server.on_lease(Duration::ZERO, again());
    rig.server.on_lease(5 * SECOND, again());
    prepare(&rig);
    let running = Running::start(rig, EngineSettings { max_concurrency: 2, ..EngineSettings::default() });
    running.rig.server.saw("complete", 1).await;
    sleep(30 * SECOND).await;
    let server = running.rig.server.clone();
    (server, running.stop().await)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_leased_anew_while_it_is_worked_on_is_ended_once_by_the_later_lease() {
    let (server, totals) = leased_twice(|_| ()).await;
    assert_eq!(totals, Totals { leased: 2, completed: 1, lost: 1, ..Totals::default() });
    assert_eq!((server.count("complete"), server.count("fail")), (1, 0), "{}", server.words());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_leased_anew_before_it_was_started_is_not_failed_by_the_earlier_lease() {
    let (server, totals) = leased_twice(|rig| {
        for _ in 0..3 {
            rig.server.on_heartbeat(Err(broken()));
        }
    })
    .await;
    assert_eq!(totals.leased, 2);
    assert_eq!((server.count("complete"), server.count("fail")), (1, 0), "{}", server.words());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_read_is_counted() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    let answer = LeaseAnswer::Undecodable { task_id: Some(Uuid::nil()), error: "no JSON".into() };
    rig.server.on_lease(Duration::ZERO, Ok(answer));
    let running = Running::start(rig, EngineSettings::default());
    running.rig.server.saw("fail", 1).await;
    assert_eq!(running.stop().await, Totals { leased: 1, failed: 1, ..Totals::default() });
}
