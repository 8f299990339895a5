//! One seed: its runtime, its random numbers and its clocks, and how it went.

use std::sync::Once;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::simulation::dms::START;
use crate::simulation::invariant::{Invariant, Violation};
use crate::simulation::plan::Plan;
use crate::simulation::planted::Planted;
use crate::simulation::run::Run;
use crate::simulation::world::World;
use crate::wall_clock::simulated as wall_clock;

/// How one run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedReport {
    /// The first invariants that did not hold.
    pub violations: Vec<Violation>,
    /// What happened, if that was wanted.
    pub trace: Vec<String>,
    /// How many calls the nodes made.
    pub calls: u64,
    /// How many leases were granted.
    pub leases: u64,
    /// How many starts of nodes there were.
    pub starts: u64,
    /// How long it would have taken.
    pub virtual_time: Duration,
}

/// Runs a seed. Its trace is written down if it is wanted; `planted` is a fault in every node.
///
/// The same seed always does the same.
///
/// # Errors
/// When a runtime can't be made.
pub fn run_seed(seed: u64, traced: bool, planted: Option<Planted>) -> Result<SeedReport, std::io::Error> {
    watch_panics();
    PANICS.with_borrow_mut(|panics| *panics = Some(Vec::new()));
    // What the node draws comes from this generator, which belongs to the thread.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let report = runtime.block_on(async {
        let plan = Plan::new(seed);
        wall_clock::set(START + time::Duration::seconds(plan.node_clock_ahead));
        let world = World::new(plan, planted, traced);
        Run::new(world.clone()).run().await;
        let panics = PANICS.with_borrow_mut(Option::take).unwrap_or_default();
        for panic in panics {
            world.violated(Invariant::NoPanic, panic);
        }
        let now = world.now();
        let mut state = world.state();
        SeedReport {
            violations: std::mem::take(&mut state.violations),
            trace: state.trace.take(),
            calls: state.calls,
            leases: state.dms.leases.len() as u64,
            starts: state.incarnations.len() as u64,
            virtual_time: now,
        }
    });
    wall_clock::unset();
    Ok(report)
}

/// Runs a seed twice, and adds a violation if it does not do the same.
///
/// # Errors
/// When a runtime can't be made.
pub fn run_seed_twice(seed: u64, planted: Option<Planted>) -> Result<SeedReport, std::io::Error> {
    let mut report = run_seed(seed, true, planted)?;
    let again = run_seed(seed, true, planted)?;
    if report != again {
        let differs = report.trace.iter().zip(&again.trace).find(|(one, other)| one != other);
        let what = format!("the second time was another: {differs:#?}");
        report.violations.push(Violation { invariant: Invariant::SameAgain, at: report.virtual_time, what });
    }
    Ok(report)
}

thread_local! {
    /// The panics of the run on this thread; none if there is no run on it.
    static PANICS: std::cell::RefCell<Option<Vec<String>>> = const { std::cell::RefCell::new(None) };
}

/// Takes note of panics in runs; those of other threads go where they went before.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.to_string();
            let taken = PANICS.with_borrow_mut(|panics| panics.as_mut().map(|panics| panics.push(text)));
            if taken.is_none() {
                before(panic);
            }
        }));
    });
}
