//! What keeps the worker from taking leases, and what it gives back first.

use posemesh_runner_api::failure::RunFailure;
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::admission::{Cause, Refusal};
use crate::journal::OrphanedLease;
use crate::testing::{ServerCall, broken, failure, lost};

const MINUTE: Duration = Duration::from_secs(60);

/// A worker whose tasks all fail in this way, and that gets a lease for the asking.
async fn failing(with: RunFailure, settings: WorkerSettings) -> RunningWorker {
    let fixture = LeaseFixture::new(move |_| {
        let failure = with.clone();
        async move { Err(failure) }
    })
    .await;
    for _ in 0..10_000 {
        fixture.server.on_lease(Duration::ZERO, work());
    }
    RunningWorker::start(fixture, settings)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_while_something_is_missing_and_it_heals_by_itself() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.admission.refuse(Some(Refusal::Trouble));
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    sleep(60 * MINUTE).await;
    assert_eq!(running.fixture.server.count("lease"), 0);
    running.fixture.admission.refuse(None);
    let began = Instant::now();
    running.fixture.server.saw("lease", 1).await;
    assert!(began.elapsed() <= 10 * SECOND, "{:?}", began.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_in_trouble_of_its_own_does_not_eat_the_queue() {
    let settings = WorkerSettings { max_concurrency: 8, ..WorkerSettings::default() };
    let running = failing(RunFailure::host("no space left on the device"), settings).await;
    sleep(60 * MINUTE).await;
    let shown = running.fixture.board.list();
    assert!(shown.iter().any(|trouble| trouble.cause == Cause::Host), "{shown:?}");
    let failed = running.stop().await.failed;
    // Those that ran at once, and one for each pause, the longest of which are five minutes.
    assert!((8..35).contains(&failed), "{failed} of 10,000 tasks failed in an hour");
}

#[tokio::test(start_paused = true)]
async fn what_runners_do_wrong_is_not_the_nodes_trouble() {
    let running = failing(failure("the runner is broken"), WorkerSettings::default()).await;
    running.fixture.server.saw("fail", 100).await;
    assert_eq!(running.fixture.board.list(), []);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_leases_of_a_dead_process_are_given_back_before_anything_is_asked_for() {
    let mut fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.orphans = [1, 2].map(|id| OrphanedLease { task_id: Uuid::from_u128(id) }).to_vec();
    fixture.server.on_fail(Err(broken()));
    fixture.server.on_fail(Err(lost()));
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("lease", 1).await;
    let server = &running.fixture.server;
    assert_eq!(
        server.words(),
        "fail fail fail lease",
        "the one that broke is tried again; the other is over"
    );
    let ServerCall::Fail { reason, .. } = &server.calls()[0].1 else { panic!("the first call is `fail`") };
    assert_eq!(reason, "node_crashed");
    let totals = running.stop().await;
    assert_eq!(totals, LeaseTotals::default(), "they were not leased to this process");
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_old_leases_are_not_given_back_at_the_same_instant() {
    let mut fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.orphans = (0..200).map(|id| OrphanedLease { task_id: Uuid::from_u128(id) }).collect();
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("lease", 1).await;
    let calls = running.fixture.server.calls();
    let fails = calls.iter().filter(|(_, call)| matches!(call, ServerCall::Fail { .. }));
    let times: Vec<_> = fails.map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 200);
    let most = times.iter().map(|at| times.iter().filter(|other| *other == at).count()).max();
    assert!(most <= Some(4), "{most:?} at the same instant");
    assert!(*times.last().unwrap() - times[0] >= 4 * SECOND, "spaced out");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_report_of_an_old_lease_keeps_the_node_no_longer_than_its_ttl() {
    let mut fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.orphans = vec![OrphanedLease { task_id: Uuid::from_u128(1) }];
    for _ in 0..1000 {
        fixture.server.on_fail(Err(broken()));
    }
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("lease", 1).await;
    assert!(running.began.elapsed() <= 2 * MINUTE, "{:?}", running.began.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_in_the_journal_for_as_long_as_it_is_held_and_stays_there_when_the_node_is_killed() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(MINUTE).await;
        Ok(())
    })
    .await;
    for _ in 0..2 {
        fixture.server.on_lease(Duration::ZERO, work());
    }
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    assert_eq!(running.fixture.journal.held().len(), 1);
    running.fixture.server.saw("lease", 2).await;
    sleep(SECOND).await;
    let journal = running.fixture.journal.clone();
    running.shutdown.kill();
    running.worker.await.unwrap();
    assert_eq!(journal.held().len(), 1, "the next start finds it");
}

#[tokio::test(start_paused = true)]
async fn no_work_is_asked_for_in_the_moment_after_a_capability_goes() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.runners.capabilities.send_modify(|all| {
        all.insert("/other/v1".to_owned());
    });
    let settings = WorkerSettings {
        poll_backoff_min: SECOND / 20,
        poll_backoff_max: SECOND / 20,
        ..WorkerSettings::default()
    };
    let running = RunningWorker::start(fixture, settings);
    running.fixture.server.saw("lease", 20).await;
    running.fixture.runners.capabilities.send_modify(|all| {
        all.remove("/other/v1");
    });
    sleep(SECOND / 100).await;
    let asked = running.fixture.server.count("lease");
    sleep(SECOND * 9 / 10).await;
    assert_eq!(running.fixture.server.count("lease"), asked, "DDS is told first");
    running.fixture.server.saw("lease", asked + 1).await;
    running.stop().await;
}
