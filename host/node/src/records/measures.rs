//! What ended tasks were like, for metrics: how long they took, why they failed, and what each runner did and used. It only
//! grows: no series of it falls because a generation or a runner has gone.

use std::collections::BTreeMap;
use std::time::Duration;

use posemesh_net::histogram::{Histogram, HistogramView};
use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use posemesh_runner_api::reports::LimitUse;
use posemesh_text::one_line;

/// How many runners have a name in the metrics; the rest is [`OTHER`]. Each name makes new time series where metrics are
/// stored.
const RUNNERS: usize = 64;
/// The name of all further runners.
const OTHER: &str = "other";
/// The longest name of a runner or a limit, in bytes.
const MAX_NAME: usize = 128;
/// How many limits have a name: more than there are.
const LIMITS: usize = 64;
/// The kind of a failure before a runner was started.
const SETUP_FAILED: &str = "setup_failed";

/// Times of tasks, in seconds: from noop tasks to those of hours.
const BOUNDS: [f64; 15] =
    [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

/// The words for how a lease ends, as [`LeaseOutcome::word`](super::LeaseOutcome::word) has them.
const ENDINGS: [&str; 4] = ["completed", "failed", "cancelled", "lost"];

/// What ended tasks were like.
#[derive(Debug, Default)]
pub(super) struct Measures {
    durations: [TaskTimes; 4],
    failures: BTreeMap<(&'static str, Blame), u64>,
    limit_hits: BTreeMap<String, u64>,
    runners: BTreeMap<String, RunnerMeasures>,
}

#[derive(Debug)]
struct TaskTimes(Histogram<15>);

impl Default for TaskTimes {
    fn default() -> Self {
        Self(Histogram::new(BOUNDS))
    }
}

/// What the runs of one runner were like, over all its generations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct RunnerMeasures {
    /// Runs that ended well.
    pub(crate) completed: u64,
    /// Failed runs, in the order of [`Blame::ALL`].
    pub(crate) failed: [u64; 4],
    /// Time on the processor, of runs that go on too.
    pub(crate) cpu: Duration,
    /// Memory that its running tasks have, in bytes.
    pub(crate) memory_bytes: u64,
    /// The most memory that one of its tasks has had, in bytes.
    pub(crate) largest_memory_bytes: u64,
}

/// All of it at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MeasuresView {
    /// How long leases took, by how they ended.
    pub(crate) durations: Vec<(&'static str, HistogramView)>,
    /// Failed tasks by kind and blame; those that can be expected are there from the beginning.
    pub(crate) failures: BTreeMap<(&'static str, Blame), u64>,
    /// Runs that ended by a limit, by its name.
    pub(crate) limit_hits: BTreeMap<String, u64>,
    /// By the name of the runner.
    pub(crate) runners: BTreeMap<String, RunnerMeasures>,
}

impl MeasuresView {
    /// Failed tasks whose fault this was.
    pub(crate) fn failed_by(&self, blame: Blame) -> u64 {
        let of_it = self.failures.iter().filter(|((_, by), _)| *by == blame);
        of_it.map(|(_, count)| count).sum()
    }
}

impl Measures {
    /// A run of this runner has ended.
    pub(super) fn ran(&mut self, runner: &str, failure: Option<&RunFailure>) {
        let name = self.runner_name(runner);
        let measures = self.runners.entry(name).or_default();
        let Some(failure) = failure else {
            measures.completed += 1;
            return;
        };
        let at = Blame::ALL.iter().position(|blame| *blame == failure.blame);
        if let Some(count) = at.and_then(|at| measures.failed.get_mut(at)) {
            *count += 1;
        }
        if let Some(limit) = failure.details.pointer("/limit/name").and_then(serde_json::Value::as_str) {
            self.limit_hit(limit);
        }
    }

    /// The names of limits are the plugin host's; bounded all the same.
    fn limit_hit(&mut self, limit: &str) {
        let name = one_line(limit, MAX_NAME);
        let known = self.limit_hits.contains_key(&name) || self.limit_hits.len() < LIMITS;
        *self.limit_hits.entry(if known { name } else { OTHER.to_owned() }).or_default() += 1;
    }

    /// A task has failed; `kind` is that of its run, if it had one.
    pub(super) fn failed(&mut self, kind: Option<FailureKind>, blame: Blame) {
        *self.failures.entry((kind_word(kind), blame)).or_default() += 1;
    }

    /// A lease has ended after this time.
    pub(super) fn ended(&mut self, ending: &str, took: Duration) {
        if let Some(at) = ENDINGS.iter().position(|one| *one == ending)
            && let Some(times) = self.durations.get(at)
        {
            times.0.observe_time(took);
        }
    }

    /// A run of this runner used this, and does not go on.
    pub(super) fn used(&mut self, runner: &str, usage: &[LimitUse]) {
        let name = self.runner_name(runner);
        let measures = self.runners.entry(name).or_default();
        let (cpu, memory) = of_usage(usage);
        measures.cpu += cpu;
        measures.largest_memory_bytes = measures.largest_memory_bytes.max(memory);
    }

    /// All of it, with what runs that go on have used so far.
    pub(super) fn view<'a>(&self, running: impl Iterator<Item = (&'a str, Vec<LimitUse>)>) -> MeasuresView {
        let mut failures: BTreeMap<_, _> =
            FailureKind::ALL.map(|kind| ((kind.as_str(), kind.blame()), 0)).into();
        failures.insert((SETUP_FAILED, Blame::Host), 0);
        failures.extend(self.failures.iter().map(|(key, count)| (*key, *count)));
        let mut runners = self.runners.clone();
        for (runner, usage) in running {
            let name = self.runner_name(runner);
            let measures = runners.entry(name).or_default();
            let (cpu, memory) = of_usage(&usage);
            measures.cpu += cpu;
            measures.memory_bytes += memory;
            measures.largest_memory_bytes = measures.largest_memory_bytes.max(memory);
        }
        let durations = ENDINGS.iter().zip(&self.durations).map(|(word, times)| (*word, times.0.view()));
        let limit_hits = self.limit_hits.clone();
        MeasuresView { durations: durations.collect(), failures, limit_hits, runners }
    }

    /// The name that a runner has in the metrics. One that has a name keeps it.
    pub(super) fn runner_name(&self, runner: &str) -> String {
        let name = one_line(runner, MAX_NAME);
        let known = self.runners.contains_key(&name) || self.runners.len() < RUNNERS;
        if known { name } else { OTHER.to_owned() }
    }

    /// Gives a runner its name, if there is one left.
    pub(super) fn know(&mut self, runner: &str) -> String {
        let name = self.runner_name(runner);
        self.runners.entry(name.clone()).or_default();
        name
    }
}

/// The kind of a failure in one word; it had none if no runner was started.
pub(super) fn kind_word(kind: Option<FailureKind>) -> &'static str {
    kind.map_or(SETUP_FAILED, FailureKind::as_str)
}

/// Time on the processor, and bytes of memory.
fn of_usage(usage: &[LimitUse]) -> (Duration, u64) {
    let used = |limit: &str| usage.iter().find(|one| one.limit == limit).map_or(0, |one| one.used);
    (Duration::from_millis(used("cpu_time_ms")), used("memory_bytes"))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(cpu_ms: u64, memory: u64) -> Vec<LimitUse> {
        vec![
            LimitUse { limit: "memory_bytes", used: memory, of: 1 << 30 },
            LimitUse { limit: "cpu_time_ms", used: cpu_ms, of: 60_000 },
        ]
    }

    #[test]
    fn what_a_run_has_used_so_far_counts_and_stays_when_it_has_ended() {
        let mut measures = Measures::default();
        let running = measures.view([("a", usage(1500, 10))].into_iter()).runners["a"];
        assert_eq!(
            (running.cpu.as_millis(), running.memory_bytes, running.largest_memory_bytes),
            (1500, 10, 10)
        );
        measures.used("a", &usage(2000, 20));
        let ended = measures.view(std::iter::empty()).runners["a"];
        assert_eq!((ended.cpu.as_millis(), ended.memory_bytes, ended.largest_memory_bytes), (2000, 0, 20));
    }

    #[test]
    fn runners_beyond_the_bound_share_a_name_and_those_that_have_one_keep_it() {
        let mut measures = Measures::default();
        for n in 0..RUNNERS + 9 {
            measures.ran(&format!("r{n}"), None);
        }
        measures.ran("r0", None);
        let runners = measures.view(std::iter::empty()).runners;
        assert_eq!(runners.len(), RUNNERS + 1);
        assert_eq!((runners["r0"].completed, runners[OTHER].completed), (2, 9));
    }

    #[test]
    fn failures_are_counted_by_kind_blame_and_limit() {
        let mut measures = Measures::default();
        let mut failure = RunFailure::new(FailureKind::Limit, "");
        failure.details = json!({"limit": {"name": "memory_bytes"}});
        measures.ran("a", Some(&failure));
        measures.failed(Some(FailureKind::Limit), Blame::Runner);
        measures.failed(None, Blame::Server);
        let view = measures.view(std::iter::empty());
        assert_eq!(view.limit_hits["memory_bytes"], 1);
        assert_eq!(view.failures[&("limit", Blame::Runner)], 1);
        assert_eq!(view.failures[&("setup_failed", Blame::Server)], 1);
        assert_eq!(view.failures[&("trap", Blame::Runner)], 0, "it is there before it happens");
        assert_eq!(view.runners["a"].failed, [0, 1, 0, 0]);
    }
}
