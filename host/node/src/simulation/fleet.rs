//! Many nodes for one job server: what they ask of it while they have no work, while all work, and after a common restart
//! (docs/benchmarks.md). Nothing goes wrong here but the restart.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Builder;
use tokio::time::{sleep, sleep_until};

use crate::simulation::dms::START;
use crate::simulation::draw::Draw;
use crate::simulation::node::{self, RunningNode};
use crate::simulation::plan::Plan;
use crate::simulation::tally::CallsOfSecond;
use crate::simulation::world::World;
use crate::wall_clock::simulated as wall_clock;

/// Over so long the nodes are started the first time.
const FIRST_STARTS: Duration = Duration::from_secs(60);
/// When they have settled, and for how long their calls are counted without work and with it.
const SETTLED: Duration = Duration::from_secs(180);
const WINDOW: Duration = Duration::from_secs(300);
/// From the moment at which all nodes die until they are started again: what a supervisor waits.
const DOWN: Duration = Duration::from_secs(1);
/// For so long the calls after the restart are counted.
const RESTART: Duration = Duration::from_secs(90);
/// Every task is longer than the run.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// The calls of each second, in the phases of a fleet's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FleetReport {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many of them worked when all were to work, and at the end.
    pub working: [usize; 2],
    /// Without any work.
    pub idle: Vec<CallsOfSecond>,
    /// While every node works.
    pub busy: Vec<CallsOfSecond>,
    /// From the second in which all processes are started again, after all had died in the middle of their work.
    pub restart: Vec<CallsOfSecond>,
}

/// Runs so many nodes through all phases. At the common restart each waits for a random time of up to `splay`, as
/// `START_SPLAY_SECS` has it.
///
/// The same arguments always give the same report.
///
/// # Errors
/// When a runtime can't be made.
pub fn run_fleet(nodes: usize, splay: Duration) -> io::Result<FleetReport> {
    simulated(Plan::fleet(nodes, LONG), |world| async move {
        let mut starts = Draw::new(world.plan.seed, 1);
        let first = start_all(&world, || starts.millis(0, FIRST_STARTS.as_millis() as u64)).await;
        sleep_until(world.moment(SETTLED)).await;
        let idle = calls(&world, WINDOW).await;
        submit_all(&world);
        // Until each has asked for work again, and its heartbeats have spread.
        sleep(SETTLED).await;
        let working = working(&world);
        let busy = calls(&world, WINDOW).await;
        kill_all(&world, first).await;
        sleep(DOWN).await;
        let from = world.now();
        // Counted by whole seconds: let the first begin with the restart.
        sleep(Duration::from_secs(from.as_secs() + 1) - from).await;
        let from = world.now();
        let second = start_all(&world, || starts.millis(0, splay.as_millis() as u64)).await;
        sleep_until(world.moment(from + RESTART)).await;
        let restart = world.state().tally.between(from, from + RESTART);
        let report = FleetReport { nodes, working: [working, self::working(&world)], idle, busy, restart };
        kill_all(&world, second).await;
        report
    })
}

/// Lets one node work on one task for so long; returns how many heartbeats it sent.
///
/// # Errors
/// When a runtime can't be made.
pub fn run_steady(time: Duration) -> io::Result<u64> {
    simulated(Plan::fleet(1, LONG), |world| async move {
        submit_all(&world);
        let nodes = start_all(&world, || Duration::ZERO).await;
        sleep(time).await;
        kill_all(&world, nodes).await;
        let calls = world.state().tally.between(Duration::ZERO, world.now() + Duration::from_secs(1));
        calls.iter().map(|calls| u64::from(calls.heartbeats)).sum()
    })
}

/// Runs in a world of its own, in which the network is well.
fn simulated<T, F: Future<Output = T>>(plan: Plan, run: impl FnOnce(Arc<World>) -> F) -> io::Result<T> {
    fastrand::seed(plan.seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let result = runtime.block_on(async {
        wall_clock::set(START);
        let world = World::new(plan, None, false);
        world.state().healthy = true;
        run(world).await
    });
    wall_clock::unset();
    Ok(result)
}

/// Starts all nodes, each after a wait of its own.
async fn start_all(world: &Arc<World>, mut wait: impl FnMut() -> Duration) -> Vec<RunningNode> {
    let mut due: Vec<(Duration, usize)> = (0..world.plan.nodes.len()).map(|node| (wait(), node)).collect();
    due.sort_unstable();
    let from = world.now();
    let mut running = Vec::new();
    for (wait, node) in due {
        sleep_until(world.moment(from + wait)).await;
        running.push(node::start(world, node));
    }
    running
}

/// All processes die at once.
async fn kill_all(world: &World, nodes: Vec<RunningNode>) {
    for node in &nodes {
        world.state().incarnations[node.who.incarnation].crash.cancel();
    }
    for node in nodes {
        // A node that panics would be counted as one that asks for nothing.
        if let Err(ended) = node.task.await
            && let Ok(panic) = ended.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn submit_all(world: &World) {
    let mut state = world.state();
    for task in &world.plan.tasks {
        state.dms.submit(task.capability, task.max_attempts);
    }
}

/// How many nodes have a lease.
fn working(world: &World) -> usize {
    world.state().dms.leases.iter().filter(|lease| lease.end.is_none()).count()
}

/// The calls of the next seconds.
async fn calls(world: &World, time: Duration) -> Vec<CallsOfSecond> {
    let from = world.now();
    sleep(time).await;
    world.state().tally.between(from, from + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(calls: &[CallsOfSecond], of: impl Fn(&CallsOfSecond) -> u32) -> u32 {
        calls.iter().map(of).sum()
    }

    #[test]
    fn a_fleet_asks_for_work_then_heartbeats_and_comes_back_after_a_common_restart() {
        let nodes = 20;
        let report = run_fleet(nodes, Duration::ZERO).unwrap();
        assert_eq!(report.working, [nodes, nodes], "all nodes work, and work again after the restart");
        assert!(
            sum(&report.idle, |calls| calls.leases) > 0 && sum(&report.idle, |calls| calls.heartbeats) == 0
        );
        assert!(
            sum(&report.busy, |calls| calls.heartbeats) > 0 && sum(&report.busy, |calls| calls.leases) == 0
        );
        assert!(sum(&report.restart, |calls| calls.registrations) >= nodes as u32, "{:?}", report.restart);
        // A lease of 60 s is renewed after 15 to 21 s and up to a quarter of a second.
        let expected = nodes as u32 * WINDOW.as_secs() as u32;
        let sent = sum(&report.busy, |calls| calls.heartbeats);
        assert!((expected / 22..=expected / 14).contains(&sent), "{sent} heartbeats");
        assert_eq!(run_fleet(nodes, Duration::ZERO).unwrap(), report, "the same again");
    }

    #[test]
    fn splay_spreads_a_common_restart() {
        let most = |splay| {
            let report = run_fleet(50, Duration::from_secs(splay)).unwrap();
            report.restart.iter().map(|calls| calls.registrations).max().unwrap_or_default()
        };
        let (at_once, spread) = (most(0), most(30));
        assert!(at_once >= 50 && spread <= 10, "{at_once} and {spread} registrations in a second");
    }

    #[test]
    fn a_node_that_works_twice_as_long_sends_twice_as_many_heartbeats() {
        let hour = Duration::from_secs(3600);
        let (one, two) = (run_steady(hour).unwrap(), run_steady(2 * hour).unwrap());
        assert!((170..=260).contains(&one) && two.abs_diff(2 * one) < 20, "{one} and {two} heartbeats");
    }
}
