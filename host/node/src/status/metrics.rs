//! `GET /metrics`: the node's counts in the text format of OpenMetrics, read when they are asked for.
//!
//! Labels are bounded: words of ours, and at most `RUNNERS` names of runners.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::answer::error;
use super::sources::StatusSources;
use crate::admission::Cause;
use crate::registration::RegistrationStatus;
use posemesh_plugin_host::load::LoadStage;
use posemesh_plugin_host::registry::{BreakerState, RunnerView};
use posemesh_runner_api::failure::Blame;

/// How many runners have a name in the metrics; the rest is `other`.
const RUNNERS: usize = 64;
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn answer(State(sources): State<StatusSources>) -> Response {
    // Made for each request: every value is read from its owner, and none is kept here.
    let mut registry = Registry::with_prefix("posemesh_node");
    registry.register_collector(Box::new(Scrape(sources)));
    let mut out = String::new();
    match text::encode(&mut out, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], out).into_response(),
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"),
    }
}

struct Scrape(StatusSources);

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndingLabel {
    ending: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BlameLabel {
    blame: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabel {
    runner: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunnerBlameLabel {
    runner: String,
    blame: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunnerLabel {
    runner: String,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let out = &mut encoder;
        self.tasks(out)?;
        self.runners(out)?;
        let lost = crate::telemetry::dropped_lines();
        counter(out, "log_lines_dropped", "Log lines that could not be written", lost)?;
        let lost = self.0.audit.lost_lines();
        counter(out, "audit_lines_lost", "Lines of the audit log that could not be written", lost)?;
        self.membership(out)
    }
}

impl Scrape {
    fn tasks(&self, out: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let totals = self.0.records.totals();
        counter(out, "leases", "Leases taken", totals.leased)?;
        let ended = [
            ("completed", totals.completed),
            ("failed", totals.failed),
            ("cancelled", totals.cancelled),
            ("lost", totals.lost),
        ];
        counters(
            out,
            "tasks_ended",
            "Leases by how they ended",
            ended.map(|(ending, n)| (EndingLabel { ending }, n)),
        )?;
        let failed =
            Blame::ALL.map(|blame| (BlameLabel { blame: blame.as_str() }, self.0.records.blamed(blame)));
        counters(out, "tasks_failed", "Failed tasks by whose fault it was", failed)?;
        let troubles = self.0.readiness.board.list();
        let paused = Cause::ALL.map(|cause| {
            let now = troubles.iter().any(|trouble| trouble.cause == cause);
            (CauseLabel { cause: cause.as_str() }, f64::from(u8::from(now)))
        });
        gauges(out, "leasing_paused", "1 for each cause that keeps the node from taking leases", paused)?;
        gauge(out, "tasks_running", "Leases that are worked on", totals.running() as f64)?;
        let seconds = ConstCounter::new(self.0.records.seconds());
        metric(out, "task_seconds", "Time that ended leases took together", &seconds)?;
        counter(out, "domain_bytes_in", "Bytes from domain servers", totals.bytes_in)?;
        counter(out, "domain_bytes_out", "Bytes to domain servers", totals.bytes_out)?;
        counter(out, "stuck_runs", "Runs whose runner could not be ended", totals.stuck_runs)?;
        let stuck = self.0.readiness.stuck_runners();
        gauge(out, "stuck_runners", "Runners that could not be ended and hold a thread", stuck as f64)
    }

    fn runners(&self, out: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let reached = self.0.registry.transitions();
        let stages = LoadStage::ALL.map(|stage| {
            (StageLabel { stage: stage.as_str() }, reached.get(&stage).copied().unwrap_or_default())
        });
        counters(out, "runner_stages", "How often a generation reached a stage", stages)?;
        let view = self.0.registry.view();
        let mut generations: BTreeMap<&'static str, u64> = BTreeMap::new();
        for generation in view.iter().flat_map(|runner| &runner.generations) {
            *generations.entry(generation.stage.as_str()).or_default() += 1;
        }
        let at = generations.into_iter().map(|(stage, n)| (StageLabel { stage }, n as f64));
        gauges(out, "runner_generations", "Generations by where they stand", at)?;
        let (runs, running) = runs(&view);
        let runs = runs.into_iter().map(|((runner, result), n)| (RunLabel { runner, result }, n));
        counters(out, "runner_runs", "Ended runs of the generations that are there", runs)?;
        let running = running.into_iter().map(|(runner, n)| (RunnerLabel { runner }, n as f64));
        gauges(out, "runner_running", "Runs that go on", running)?;
        let failures = failures(&view).into_iter();
        let failures = failures.map(|((runner, blame), n)| (RunnerBlameLabel { runner, blame }, n));
        counters(out, "runner_failures", "Failed runs by whose fault they were", failures)?;
        let open = open_breakers(&view).into_iter().map(|(runner, n)| (RunnerLabel { runner }, n as f64));
        gauges(out, "runner_breaker_open", "1 while a runner's circuit breaker is open or half open", open)
    }

    fn membership(&self, out: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let readiness = &self.0.readiness;
        let registered = *readiness.registration.borrow() == RegistrationStatus::Registered;
        gauge(out, "registered", "1 when DDS knows the node", f64::from(u8::from(registered)))?;
        let token = (readiness.token)();
        let valid = token.valid_for.unwrap_or_default().as_secs_f64();
        gauge(out, "token_valid_seconds", "How long the machine token is still valid", valid)?;
        counter(out, "token_renewals", "Successful logins", token.renewals)?;
        let ready = self.0.readiness.missing().is_empty();
        gauge(out, "ready", "1 when the node can take work", f64::from(u8::from(ready)))
    }
}

type Runs = BTreeMap<(String, &'static str), u64>;

/// Ended runs by runner and result, and runs that go on.
fn runs(view: &[RunnerView]) -> (Runs, BTreeMap<String, u64>) {
    let (mut ended, mut running) = (Runs::new(), BTreeMap::new());
    for (name, runner) in named(view) {
        for tasks in runner.generations.iter().map(|generation| generation.tasks) {
            for (result, n) in
                [("completed", tasks.completed), ("failed", tasks.failed), ("other", tasks.other)]
            {
                // Added up: generations share their runner's name, and runners beyond the bound share `other`.
                *ended.entry((name.to_owned(), result)).or_default() += n;
            }
            *running.entry(name.to_owned()).or_default() += tasks.running;
        }
    }
    (ended, running)
}

/// Failed runs by runner and blame.
fn failures(view: &[RunnerView]) -> Runs {
    let mut failures = Runs::new();
    for (name, runner) in named(view) {
        for blame in Blame::ALL {
            *failures.entry((name.to_owned(), blame.as_str())).or_default() += runner.failures.of(blame);
        }
    }
    failures
}

/// For each runner with a circuit breaker whether that keeps tasks from it; for `other`, how many do.
fn open_breakers(view: &[RunnerView]) -> BTreeMap<String, u64> {
    let mut open = BTreeMap::new();
    for (name, runner) in named(view) {
        let Some(breaker) = &runner.breaker else { continue };
        *open.entry(name.to_owned()).or_default() += u64::from(breaker.state != BreakerState::Closed);
    }
    open
}

/// Each runner with the name that it has in the metrics: each name makes new time series where metrics are stored, so
/// that their number is bounded.
fn named(view: &[RunnerView]) -> impl Iterator<Item = (&str, &RunnerView)> {
    view.iter().enumerate().map(|(at, runner)| {
        let name = if at < RUNNERS { runner.name.as_str() } else { "other" };
        (name, runner)
    })
}

fn metric(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> std::fmt::Result {
    metric.encode(out.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn counter(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> std::fmt::Result {
    metric(out, name, help, &ConstCounter::new(value))
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> std::fmt::Result {
    metric(out, name, help, &ConstGauge::new(value))
}

fn counters<L: EncodeLabelSet>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> std::fmt::Result {
    family(out, name, help, values.into_iter().map(|(labels, n)| (labels, ConstCounter::new(n))))
}

fn gauges<L: EncodeLabelSet>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, f64)>,
) -> std::fmt::Result {
    family(out, name, help, values.into_iter().map(|(labels, n)| (labels, ConstGauge::new(n))))
}

fn family<L: EncodeLabelSet, M: EncodeMetric>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, M)>,
) -> std::fmt::Result {
    let mut values = values.peekable();
    // The descriptor needs the type of a value; without values there is nothing to describe.
    let Some((_, first)) = values.peek() else { return Ok(()) };
    let mut encoder = out.encode_descriptor(name, help, None, first.metric_type())?;
    values.try_for_each(|(labels, value)| value.encode(encoder.encode_family(&labels)?))
}
