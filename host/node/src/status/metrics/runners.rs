//! The runners: by name, and all generations together.

use std::collections::BTreeMap;

use posemesh_plugin_host::load::{LoadStage, compile_times};
use posemesh_plugin_host::registry::{BreakerState, RunnerView};
use posemesh_runner_api::failure::Blame;

use super::catalog::{
    COMPILE_DURATION, RUNNER_BREAKER, RUNNER_CANARY, RUNNER_CPU, RUNNER_FAILURES, RUNNER_GENERATIONS,
    RUNNER_LARGEST, RUNNER_MEMORY, RUNNER_RUNNING, RUNNER_RUNS, RUNNER_STAGES,
};
use super::text::MetricsText;
use crate::records::RunnerMeasures;
use crate::status::sources::StatusSources;

const STATES: [(&str, BreakerState); 3] =
    [("closed", BreakerState::Closed), ("open", BreakerState::Open), ("half_open", BreakerState::HalfOpen)];

/// What is known of a runner that is there now; of all that share the name `other`, added up.
#[derive(Debug, Default)]
struct Present {
    running: u64,
    /// The worst, if there is a circuit breaker.
    breaker: Option<BreakerState>,
    canary_share: f64,
}

pub(super) fn write(out: &mut MetricsText, sources: &StatusSources) {
    let view = sources.registry.view();
    let present = present(sources, &view);
    // After the names were given: each runner that is there has its counters, if only with nothing in them.
    let measures = sources.records.measures().runners;
    let runs = measures
        .iter()
        .flat_map(|(runner, of)| runs(of).into_iter().map(move |(result, n)| ([runner.as_str(), result], n)));
    out.family(&RUNNER_RUNS, runs);
    let failures = measures.iter().flat_map(|(runner, of)| {
        Blame::ALL.into_iter().zip(of.failed).map(move |(blame, n)| ([runner.as_str(), blame.as_str()], n))
    });
    out.family(&RUNNER_FAILURES, failures);
    out.family(&RUNNER_RUNNING, present.iter().map(|(runner, of)| ([runner.as_str()], of.running)));
    out.family(&RUNNER_CPU, measures.iter().map(|(runner, of)| ([runner.as_str()], of.cpu.as_secs_f64())));
    out.family(&RUNNER_MEMORY, measures.iter().map(|(runner, of)| ([runner.as_str()], of.memory_bytes)));
    out.family(
        &RUNNER_LARGEST,
        measures.iter().map(|(runner, of)| ([runner.as_str()], of.largest_memory_bytes)),
    );
    let breakers = present.iter().filter_map(|(runner, of)| Some((runner, of.breaker?)));
    let breakers = breakers
        .flat_map(|(runner, now)| STATES.map(|(word, state)| ([runner.as_str(), word], state == now)));
    out.family(&RUNNER_BREAKER, breakers);
    out.family(&RUNNER_CANARY, present.iter().map(|(runner, of)| ([runner.as_str()], of.canary_share)));
    let reached = sources.registry.transitions();
    let stages =
        LoadStage::ALL.map(|stage| ([stage.as_str()], reached.get(&stage).copied().unwrap_or_default()));
    out.family(&RUNNER_STAGES, stages);
    let mut generations = LoadStage::ALL.map(|stage| (stage.as_str(), 0_u64));
    for generation in view.iter().flat_map(|runner| &runner.generations) {
        let at = generations.iter_mut().find(|(stage, _)| *stage == generation.stage.as_str());
        at.into_iter().for_each(|(_, n)| *n += 1);
    }
    out.family(&RUNNER_GENERATIONS, generations.map(|(stage, n)| ([stage], n)));
    out.histograms(&COMPILE_DURATION, compile_times().map(|(result, times)| ([result], times)));
}

fn runs(of: &RunnerMeasures) -> [(&'static str, u64); 3] {
    let (mut failed, mut other) = (0, 0);
    for (blame, n) in Blame::ALL.into_iter().zip(of.failed) {
        *(if blame == Blame::Runner { &mut failed } else { &mut other }) += n;
    }
    [("completed", of.completed), ("failed", failed), ("other", other)]
}

fn present(sources: &StatusSources, view: &[RunnerView]) -> BTreeMap<String, Present> {
    let mut present: BTreeMap<String, Present> = BTreeMap::new();
    for runner in view {
        let of = present.entry(sources.records.metrics_name(&runner.name)).or_default();
        of.running += runner.generations.iter().map(|generation| generation.tasks.running).sum::<u64>();
        of.canary_share = runner.canary_share.unwrap_or_default().max(of.canary_share);
        let state = runner.breaker.as_ref().map(|breaker| breaker.state);
        of.breaker = match (of.breaker, state) {
            (Some(BreakerState::Open), _) | (_, Some(BreakerState::Open)) => Some(BreakerState::Open),
            (Some(BreakerState::HalfOpen), _) | (_, Some(BreakerState::HalfOpen)) => {
                Some(BreakerState::HalfOpen)
            }
            (before, now) => now.or(before),
        };
    }
    present
}
