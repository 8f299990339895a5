//! The lines of runners: what serves, what it may have, what is on trial, loaded, refused or switched off.

use super::wrap::indented;
use crate::amounts::short_span;
use crate::overview::{Generation, Overview, Runner};

pub(super) fn write(out: &mut String, node: &Overview) {
    out.push_str("\nrunners\n");
    node.plugins.iter().for_each(|runner| write_runner(out, runner));
    if node.plugins.is_empty() {
        indented(out, 2, "none");
    }
}

fn write_runner(out: &mut String, runner: &Runner) {
    let newest = runner.generations.first();
    // One that is on trial is told below: most tasks go to the other.
    let serving = runner.generations.iter().find(|one| &*one.stage == "live").or(newest);
    let version = serving.map_or_else(String::new, |live| format!(" {} #{}", live.version, live.number));
    let serves = if runner.serves.is_empty() { "nothing".to_owned() } else { runner.serves_line() };
    indented(out, 2, &format!("{}{version}: serves {serves}", runner.name));
    if let Some(generation) = serving {
        let runs = generation.tasks;
        let sha: String = generation.sha256.chars().take(12).collect();
        let ran = format!(
            "{} running, {} completed, {} failed, sha256 {sha}",
            runs.running, runs.completed, runs.failed
        );
        indented(out, 4, &ran);
        write_grants(out, generation);
    }
    if let (Some(share), Some(trial)) =
        (runner.canary_share, runner.generations.iter().find(|one| &*one.stage == "canary"))
    {
        let text = format!(
            "trial: {} #{} gets {:.0} % of the tasks, {} completed, {} failed",
            trial.version,
            trial.number,
            share * 100.0,
            trial.tasks.completed,
            trial.tasks.failed,
        );
        indented(out, 4, &text);
    }
    if let Some(loading) = &runner.loading {
        let how = loading.compiling_ms.map_or_else(
            || format!("loaded, has passed {}", loading.stage),
            |for_ms| format!("compiled, for {} so far", short_span(for_ms)),
        );
        indented(out, 4, &format!("#{} is {how}", loading.number));
    }
    if let Some(refused) = &runner.refused {
        indented(out, 4, &format!("#{} refused: {}", refused.number, refused.reason));
    }
    if let Some(breaker) = runner.breaker.as_ref().filter(|breaker| &*breaker.state != "closed") {
        let mut text = format!("breaker {}", breaker.state.replace('_', " "));
        if let Some(left) = breaker.half_open_in_secs {
            text += &format!(", tried in {left} s");
        }
        for why in breaker.why.iter().chain(&breaker.last_failure) {
            text += &format!("; {why}");
        }
        indented(out, 4, &text);
    }
}

fn write_grants(out: &mut String, generation: &Generation) {
    for granted in &generation.granted {
        indented(out, 4, &format!("granted: {granted}"));
    }
    for asked in &generation.not_granted {
        indented(out, 4, &format!("asked for and not granted: {asked}"));
    }
}
