//! A runner that sleeps. It reads no input and makes no artifact, but it shows all that a runner needs:
//! who it is, what it asks for, and `run`, which does one task. `sleep` says how long.

mod sleep;

use std::time::Duration;

use posemesh_runner::{Error, Requests, Result, Runner, Task};

use crate::sleep::Params;

/// How long a task sleeps that does not say: seconds, granted by the operator.
const SLEEP_VARIABLE: &str = "NOOP_SLEEP_SECS";

struct Noop;

impl Runner for Noop {
    const CAPABILITIES: &[&str] = &["/posemesh/noop/v1"];
    type Params = Params;

    fn requests() -> Requests {
        let deadline = Duration::from_millis(sleep::MAX_MS + 60_000);
        Requests::new().memory_mib(16).deadline(deadline).environment(SLEEP_VARIABLE)
    }

    fn meta_schema() -> Option<String> {
        Some(sleep::META_SCHEMA.into())
    }

    fn run(task: &Task, params: Params) -> Result<()> {
        let default = std::env::var(SLEEP_VARIABLE).ok();
        let total_ms = params.duration_ms(default.as_deref()).map_err(Error::invalid_task)?;
        for slice in sleep::slices(total_ms) {
            task.progress(slice.done_ms as f64 / total_ms as f64, "sleeping")?;
            task.sleep(Duration::from_millis(slice.wait_ms))?;
        }
        task.progress(1.0, "sleeping")
    }
}

posemesh_runner::export!(Noop);

#[cfg(test)]
mod tests {
    use posemesh_runner::testing::Run;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_sleeps_as_long_as_it_says_and_tells_so() {
        let run = Run::new().meta(json!({ "sleep_ms": 450 })).run::<Noop>();
        assert_eq!(run.result, Ok(()));
        assert_eq!(run.progress.len(), 4, "0, 200 and 400 ms, and the end: {:?}", run.progress);
        assert_eq!(run.progress.last().map(String::as_str), Some(r#"{"progress":1.0,"stage":"sleeping"}"#));
    }

    #[test]
    fn a_task_that_is_cancelled_wakes_up() {
        let run = Run::new().meta(json!({ "sleep_ms": 600_000 })).cancel_at(0.1).run::<Noop>();
        assert_eq!(run.result, Err(Error::Cancelled));
    }

    #[test]
    fn no_sleep_ends_at_one() {
        let run = Run::new().meta(json!({ "sleep_ms": 0 })).run::<Noop>();
        assert_eq!(run.progress, [r#"{"progress":1.0,"stage":"sleeping"}"#]);
    }
}
