//! The node is killed and started again.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::{Scene, assert_ended_once, leases_of};

#[tokio::test]
async fn kill_and_restart_mid_task() {
    // With leases that last longer than the test: nobody waits for them to expire.
    let scene = Scene::with(leases_of(Duration::from_secs(600))).await;
    let mut first = scene.node();
    let task = scene.submit_noop(Duration::from_secs(4));
    // The runner has begun: before that the lease may not be in the journal yet.
    let reported = || scene.task(task).progress.get("progress").map(|_| ());
    scene.wait_until("a report of the runner", &first, reported).await;
    let dirs = || -> Vec<_> {
        let work = scene.work().join("work");
        let entries = std::fs::read_dir(work).expect("WORK_DIR").flatten();
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect()
    };
    let left = dirs();
    assert_eq!(left.len(), 1, "the node's own: {left:?}");
    first.kill().await;
    assert_eq!(dirs(), left, "nobody could tidy up");

    let second = scene.node();
    let ended = scene.wait_for_end(task, &second).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", second.log());
    assert_eq!((ended.leases.len(), ended.expired_leases), (2, 0), "{ended:?}");
    let reasons: Vec<_> = ended.failures.iter().map(|failure| failure.reason.as_str()).collect();
    assert_eq!(reasons, ["node_crashed"], "the second process gives the lease of the first one back");
    assert_ended_once(&ended, &second);
    assert!(dirs().iter().all(|dir| !left.contains(dir)), "swept at the start: {:?}", dirs());
    scene.assert_goes_on(second).await;
}

#[tokio::test]
async fn kill_and_restart_between_the_result_and_its_answer() {
    let scene = Scene::with(leases_of(Duration::from_secs(2))).await;
    // The server accepts the result, but its answer never arrives.
    let fault = Fault::delay_after(Duration::from_secs(3)).on(Endpoint::Complete).times(1);
    let fault = scene.devnet.faults().add(fault);
    let mut first = scene.node();
    let task = scene.submit_noop(Duration::ZERO);
    let ended = scene.wait_for_end(task, &first).await;
    first.kill().await;
    assert_eq!((ended.status, scene.hit_by(fault).len()), (TaskStatus::Completed, 1));
    let second = scene.node();
    scene.wait_for_work_wanted(&second).await;
    scene.assert_goes_on(second).await;
    let still = scene.task(task);
    assert_eq!((still.completions.len(), still.leases.len()), (1, 1), "{still:?}");
}
