//! Prints runners and their generations for people.

use std::fmt::Write as _;
use std::process::ExitCode;

use posemesh_plugin_host::load::LoadStage;
use posemesh_plugin_host::registry::{BreakerState, BreakerView, LoadingView, RunnerView};
use posemesh_text::escaped;

use crate::output::out;

/// Prints the runners of a running node; the exit code is 1 if one was refused.
pub(crate) fn print_of_node(runners: &[RunnerView]) -> ExitCode {
    print(runners, "the node has no runners: PLUGINS_DIR contains no NAME.wasm")
}

/// Says which runners a call has not waited for.
pub(crate) fn print_still_loading(names: &[String]) {
    if !names.is_empty() {
        out!("still being loaded: {}; `plugin list` shows what becomes of them", names.join(", "));
    }
}

/// Prints runners, or `if_empty`; the exit code is 1 if one was refused.
pub(crate) fn print(runners: &[RunnerView], if_empty: &str) -> ExitCode {
    if runners.is_empty() {
        out!("{if_empty}");
    } else {
        out!("{}", text(runners).trim_end());
    }
    let refused = runners.iter().any(|runner| runner.refused.is_some());
    if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A paragraph for each runner: the generations it has, what they serve, and why the newest file is refused.
fn text(runners: &[RunnerView]) -> String {
    let mut text = String::new();
    for runner in runners {
        // Writing to a string does not fail.
        let _ = write(&mut text, runner);
    }
    text
}

fn write(text: &mut String, runner: &RunnerView) -> std::fmt::Result {
    let name = escaped(&runner.name);
    let Some(first) = runner.generations.first() else {
        return match &runner.refused {
            Some(refused) => {
                writeln!(text, "{name}: refused after `{}`: {}", refused.passed, escaped(&refused.reason))
            }
            None => match &runner.loading {
                Some(loading) => writeln!(text, "{name}: {}", loading_text(loading)),
                None => writeln!(text, "{name}: loading"),
            },
        };
    };
    writeln!(text, "{name}: {}", escaped(&first.summary))?;
    match runner.serves.as_slice() {
        [] => writeln!(text, "  serves nothing now; claims {}", escaped(&first.capabilities.join(", ")))?,
        serves => writeln!(text, "  serves {}", escaped(&serves.join(", ")))?,
    }
    for generation in &runner.generations {
        let tasks = generation.tasks;
        write!(text, "  #{} {}  {}", generation.number, escaped(&generation.version), generation.stage)?;
        if generation.priority != 0 {
            write!(text, ", priority {}", generation.priority)?;
        }
        if tasks.running + tasks.judged() + tasks.other > 0 {
            let ended = tasks.judged() + tasks.other;
            write!(text, ", {} running, {ended} ended, {} failed", tasks.running, tasks.failed)?;
        }
        writeln!(text, "  sha256:{:.12}", generation.sha256)?;
        for asked in &generation.not_granted {
            writeln!(text, "    asked for and not granted: {}", escaped(asked))?;
        }
    }
    if let Some(breaker) = &runner.breaker {
        write_breaker(text, breaker)?;
    }
    if let Some(loading) = &runner.loading {
        writeln!(text, "  #{} is {}", loading.number, loading_text(loading))?;
    }
    if let Some(refused) = &runner.refused {
        writeln!(
            text,
            "  #{} refused after `{}`: {}",
            refused.number,
            refused.passed,
            escaped(&refused.reason)
        )?;
    }
    Ok(())
}

/// What a load is doing.
fn loading_text(loading: &LoadingView) -> String {
    match loading.compiling_ms {
        Some(millis) => format!("being compiled, for {:.1} s so far", millis as f64 / 1000.0),
        None if loading.stage == LoadStage::Verified => "being loaded, waits to be compiled".to_owned(),
        None => format!("being loaded, has passed `{}`", loading.stage),
    }
}

/// A line on the circuit breaker, if it keeps tasks from the runner or has lately.
fn write_breaker(text: &mut String, breaker: &BreakerView) -> std::fmt::Result {
    let why = breaker.why.as_deref().unwrap_or_default();
    let last = breaker.last_failure.as_deref().unwrap_or_default();
    match (breaker.state, breaker.half_open_in_secs) {
        (BreakerState::Closed, _) => {
            return match breaker.failures_in_a_row {
                0 => Ok(()),
                failures => writeln!(text, "  circuit breaker closed, {failures} failures in a row"),
            };
        }
        (BreakerState::Open, Some(seconds)) => {
            write!(text, "  circuit breaker open for another {seconds} s")?;
        }
        (BreakerState::Open, None) => write!(text, "  circuit breaker open")?,
        (BreakerState::HalfOpen, _) => {
            write!(text, "  circuit breaker half open: one task tries the runner")?
        }
    }
    writeln!(
        text,
        ", opened {} times: {}; the last failure: {}",
        breaker.openings,
        escaped(why),
        escaped(last)
    )?;
    writeln!(text, "    `plugin close-breaker` closes it")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_runner_says_of_itself_is_escaped_in_the_list() {
        let evil = "a\u{1b}[2Jb\nforged: line\u{9b}1m\u{202e}";
        let tasks = json!({"running": 0, "completed": 0, "failed": 0, "other": 0});
        let view = json!([{
            "name": evil, "serves": [evil], "loading": null,
            "generations": [{
                "number": 1, "version": evil, "summary": evil, "stage": "live", "capabilities": [evil], "priority": 0,
                "sha256": "00", "bytes": 1, "cached": false, "not_granted": [evil], "tasks": tasks,
            }],
            "refused": {"number": 2, "passed": "found", "reason": evil},
        }]);
        let runners: Vec<RunnerView> = serde_json::from_value(view).unwrap();
        let shown = text(&runners);
        assert_eq!(shown.lines().count(), 5, "{shown}");
        assert!(!shown.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{shown:?}");
        assert_eq!(shown.matches(r"a\u{1b}[2Jb\nforged: line\u{9b}1m\u{202e}").count(), 6, "{shown}");
    }
}
