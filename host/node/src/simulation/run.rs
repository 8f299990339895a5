//! The course of one run: nodes are started, things happen to them, the network gets well, and everything has to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{sleep, sleep_until, timeout};

use crate::shutdown::AfterDrain;
use crate::simulation::draw::Draw;
use crate::simulation::invariant::Invariant;
use crate::simulation::node::{self, RunningNode};
use crate::simulation::plan::Event;
use crate::simulation::verdict;
use crate::simulation::world::World;
use crate::wall_clock::simulated as wall_clock;

/// How long a healthy network may take until every task has ended.
const SETTLING: Duration = Duration::from_secs(24 * 3600);
/// How long queued tasks may wait for a node that asks for work: back-offs from the time when the network was not well.
const IDLE: Duration = Duration::from_secs(700);
/// How often a run looks whether every task has ended.
const LOOK: Duration = Duration::from_secs(5);
/// Between the end of a stop and the look at it.
const SLACK: Duration = Duration::from_millis(50);
/// What the drain of a node may take whose tasks have all ended: an answer that it waits for.
const DRAINED: Duration = Duration::from_secs(60);

/// One run.
pub(super) struct Run {
    world: Arc<World>,
    /// By the number of the node; none while it is down.
    nodes: Vec<Option<RunningNode>>,
    /// How long nodes are down.
    restarts: Draw,
}

/// What is due next.
enum Due {
    Submit(usize),
    Event(Event),
    Kill(usize),
    Resume(usize),
    Start(usize),
    /// The node must be gone by now.
    Gone(usize, usize),
}

impl Run {
    /// A run of which nothing has happened yet.
    pub(super) fn new(world: Arc<World>) -> Self {
        let restarts = Draw::new(world.plan.seed, 1);
        Self { world, nodes: Vec::new(), restarts }
    }

    /// Lets everything happen, and judges it.
    pub(super) async fn run(mut self) {
        let world = self.world.clone();
        let mut due: Vec<(Duration, Due)> = Vec::new();
        for (number, task) in world.plan.tasks.iter().enumerate() {
            due.push((task.at, Due::Submit(number)));
        }
        due.extend(world.plan.events.iter().map(|(at, event)| (*at, Due::Event(*event))));
        for node in 0..world.plan.nodes.len() {
            self.nodes.push(None);
            due.push((self.restarts.millis(0, 2000), Due::Start(node)));
        }
        while world.now() < world.plan.healthy_from {
            // The first of those that are due first: stable, so that a run is the same again.
            let next = (0..due.len()).min_by_key(|index| due[*index].0);
            let at = next.map_or(world.plan.healthy_from, |next| due[next].0.min(world.plan.healthy_from));
            tokio::select! {
                biased;
                node = gone(&mut self.nodes) => {
                    self.nodes[node] = None;
                    let back = world.now() + self.restarts.millis(10, 20_000);
                    due.push((back, Due::Start(node)));
                }
                () = sleep_until(world.moment(at)) => {
                    if let Some(next) = next.filter(|_| at < world.plan.healthy_from) {
                        let (_, what) = due.remove(next);
                        self.happens(what, &mut due);
                    }
                }
            }
        }
        self.settle().await;
    }

    fn happens(&mut self, what: Due, due: &mut Vec<(Duration, Due)>) {
        let (world, now) = (&self.world, self.world.now());
        match what {
            Due::Submit(number) => submit(world, number),
            Due::Start(node) => self.nodes[node] = Some(node::start(world, node)),
            Due::Kill(incarnation) => {
                let mut state = world.state();
                state.trace.note(now, || format!("start {incarnation} gets a second signal"));
                let incarnation = &mut state.incarnations[incarnation];
                incarnation.killed.get_or_insert(now);
                incarnation.shutdown.kill();
            }
            Due::Resume(incarnation) => {
                let mut state = world.state();
                state.trace.note(now, || format!("start {incarnation} is resumed"));
                state.incarnations[incarnation].shutdown.resume();
            }
            Due::Gone(node, incarnation) => self.must_be_gone(node, incarnation),
            Due::Event(event) => self.event(event, due),
        }
    }

    fn event(&mut self, event: Event, due: &mut Vec<(Duration, Due)>) {
        let (world, now) = (&self.world, self.world.now());
        world.note(|| format!("{event:?}"));
        match event {
            Event::Cancel(task) => world.state().dms.cancel(task),
            Event::Stop(node) => {
                let Some(incarnation) = self.running(node) else { return };
                due.push((now + stop(world, node, incarnation) + SLACK, Due::Gone(node, incarnation)));
            }
            Event::StopAndKill(node, after) => {
                let Some(incarnation) = self.running(node) else { return };
                let (bound, kill) = (stop(world, node, incarnation), Duration::from_millis(after));
                due.push((now + kill, Due::Kill(incarnation)));
                due.push((now + bound.min(kill) + SLACK, Due::Gone(node, incarnation)));
            }
            Event::Drain(node, resumed, then) => {
                let Some(incarnation) = self.running(node) else { return };
                world.state().incarnations[incarnation].shutdown.drain(then);
                if resumed > 0 {
                    due.push((now + Duration::from_millis(resumed), Due::Resume(incarnation)));
                }
            }
            Event::Crash(node) => {
                if let Some(running) = &self.nodes[node] {
                    world.state().incarnations[running.who.incarnation].crash.cancel();
                }
            }
            Event::Swap(node, live) => {
                if let Some(running) = &self.nodes[node] {
                    running.runners.swap(live);
                }
            }
            Event::Revoke(node) => {
                let mut state = world.state();
                state.dds.revoke(node);
                state.links[node].troubles.token_lost(now);
            }
            Event::SetClock(seconds) => {
                let clock = crate::wall_clock::now() + time::Duration::seconds(seconds);
                wall_clock::set(clock);
            }
            Event::Unregister(node) => {
                let mut state = world.state();
                state.dds.unregister(node);
                state.links[node].troubles.token_lost(now);
            }
        }
    }

    /// Which start of the node is running.
    fn running(&self, node: usize) -> Option<usize> {
        self.nodes[node].as_ref().map(|running| running.who.incarnation)
    }

    fn must_be_gone(&self, node: usize, incarnation: usize) {
        if self.running(node) == Some(incarnation) {
            let what = format!("node {node} was asked to end, and is still there");
            self.world.violated(Invariant::StopInTime, what);
            self.world.state().incarnations[incarnation].crash.cancel();
        }
    }

    /// The network is well, all nodes are up: every task has to end, and then every node.
    async fn settle(&mut self) {
        let world = self.world.clone();
        world.note(|| "everything is well again".to_owned());
        {
            let mut state = world.state();
            state.healthy = true;
            // Calls that went wrong just now are long over.
            let submitted = state.dms.tasks.len();
            drop(state);
            for number in submitted..world.plan.tasks.len() {
                submit(&world, number);
            }
        }
        for node in 0..self.nodes.len() {
            match &self.nodes[node] {
                Some(running) => {
                    running.runners.swap(3);
                    let shutdown = world.state().incarnations[running.who.incarnation].shutdown.clone();
                    // One that was to end when it has drained has to do so.
                    if shutdown.draining() == Some(AfterDrain::Stay) {
                        shutdown.resume();
                    }
                }
                None => self.nodes[node] = Some(node::start(&world, node)),
            }
        }
        let deadline = world.now() + SETTLING;
        let mut active = world.now();
        loop {
            let now = world.now();
            {
                let mut state = world.state();
                state.sweep(&world.plan, now);
                if state.dms.is_done() {
                    break;
                }
                let idle = !state.dms.leases.iter().any(|lease| lease.end.is_none());
                if !idle {
                    active = now;
                }
                if now > active + IDLE {
                    let what = format!("nobody has asked for the tasks that are left since {active:?}");
                    state.violated(now, Invariant::EveryTaskEnds, what);
                    break;
                }
                if now > deadline {
                    let left = state.dms.tasks.iter().enumerate();
                    let left: Vec<_> = left.map(|(number, task)| (number, task.state)).collect();
                    state.violated(now, Invariant::EveryTaskEnds, format!("after {SETTLING:?}: {left:?}"));
                    break;
                }
            }
            tokio::select! {
                biased;
                // It was draining when the network got well.
                node = gone(&mut self.nodes) => self.nodes[node] = Some(node::start(&world, node)),
                () = sleep(LOOK) => {}
            }
        }
        self.end().await;
        verdict::judge(&world);
    }

    /// Ends all nodes, and looks what they leave behind.
    async fn end(&mut self) {
        let world = self.world.clone();
        for node in 0..self.nodes.len() {
            let Some(running) = &mut self.nodes[node] else { continue };
            let incarnation = running.who.incarnation;
            let shutdown = world.state().incarnations[incarnation].shutdown.clone();
            // Every task has ended, so a drain ends by itself.
            let bound = match shutdown.draining() {
                Some(_) => DRAINED,
                None => stop(&world, node, incarnation),
            };
            if timeout(bound + SLACK, &mut running.task).await.is_err() {
                self.must_be_gone(node, incarnation);
                let Some(running) = &mut self.nodes[node] else { continue };
                let _ = (&mut running.task).await;
            }
        }
        self.nodes.clear();
        // Requests whose senders are gone still arrive.
        while world.state().packets > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        // What was aborted is dropped when its turn comes.
        for _ in 0..100 {
            yield_now().await;
        }
        let left = Handle::current().metrics().num_alive_tasks();
        if left > 0 {
            world.violated(
                Invariant::NoTaskLeft,
                format!("{left} tasks are left when all nodes have returned"),
            );
        }
    }
}

fn submit(world: &World, number: usize) {
    let task = &world.plan.tasks[number];
    world.note(|| format!("task {number} is submitted: {}, {} attempts", task.capability, task.max_attempts));
    world.state().dms.submit(task.capability, task.max_attempts);
}

/// Asks a node to stop. Returns what that may take.
fn stop(world: &World, node: usize, incarnation: usize) -> Duration {
    let now = world.now();
    let mut state = world.state();
    state.trace.note(now, || format!("node {node} (start {incarnation}) is asked to stop"));
    let incarnation = &mut state.incarnations[incarnation];
    let stopped = *incarnation.stopped.get_or_insert(now);
    incarnation.shutdown.stop();
    (stopped + world.plan.stop_bound(node)).saturating_sub(now)
}

/// Waits until one of the nodes is gone; returns its number.
async fn gone(nodes: &mut [Option<RunningNode>]) -> usize {
    std::future::poll_fn(|context| {
        for (number, node) in nodes.iter_mut().enumerate() {
            let Some(node) = node else { continue };
            if std::pin::Pin::new(&mut node.task).poll(context).is_ready() {
                return std::task::Poll::Ready(number);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
