//! Summarises a column of numbers in a CSV file.

use std::io::BufRead;

use posemesh_runner::{Error, Requests, Result, Runner, Task};
use serde::{Deserialize, Serialize};

/// The parameters of a task: its `meta`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// Name of the column.
    column: String,
}

/// The artifact `summary.json`.
#[derive(Serialize)]
struct Summary {
    rows: u64,
    min: f64,
    max: f64,
    mean: f64,
}

struct MyRunner;

impl Runner for MyRunner {
    const CAPABILITIES: &[&str] = &["/example/my-runner/v1"];
    type Params = Params;

    fn requests() -> Requests {
        // What one line needs: the file is a stream, however large it is.
        Requests::new().memory_mib(64)
    }

    fn run(task: &Task, params: Params) -> Result<()> {
        let file = task.only_part()?;
        let size = file.size() as f64;
        // A download that breaks off is told as such by `invalid_input`; text that is no UTF-8 is the input's fault.
        let mut lines = file.lines().map(|line| line.map_err(Error::invalid_input));
        let header = lines.next().transpose()?.unwrap_or_default();
        let column = header
            .split(',')
            .position(|name| name.trim() == params.column)
            .ok_or_else(|| {
                Error::InvalidInput(format!(
                    "line 1: there is no column {:?}, but: {header}",
                    params.column
                ))
            })?;

        let mut summary = Summary {
            rows: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
        };
        let mut read = header.len() + 1;
        for (number, line) in (2..).zip(lines) {
            let line = line?;
            let field = line.split(',').nth(column).unwrap_or_default().trim();
            let value: f64 = field.parse().map_err(|_| {
                Error::InvalidInput(format!(
                    "line {number}: {field:?} in {} is no number",
                    params.column
                ))
            })?;
            summary.rows += 1;
            summary.min = summary.min.min(value);
            summary.max = summary.max.max(value);
            summary.mean += (value - summary.mean) / summary.rows as f64;
            read += line.len() + 1;
            if summary.rows.is_multiple_of(1000) {
                // Returns an error when the task is cancelled. It asks the node, which takes longer than a line.
                task.progress(read as f64 / size, "reading")?;
            }
        }
        if summary.rows == 0 {
            return Err(Error::InvalidInput(
                "there is no line after the header".into(),
            ));
        }
        task.write_json("summary.json", &summary)?;
        Ok(())
    }
}

posemesh_runner::export!(MyRunner);

#[cfg(test)]
mod tests {
    use posemesh_runner::testing::Run;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_is_summarised() {
        let run = Run::new()
            .input("points.csv", "name,height\na,1\nb,4\nc,1\n")
            .meta(json!({ "column": "height" }))
            .run::<MyRunner>();
        assert_eq!(run.result, Ok(()));
        assert_eq!(
            run.json("summary.json"),
            json!({ "rows": 3, "min": 1.0, "max": 4.0, "mean": 2.0 })
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let run = Run::new()
            .input("points.csv", "height\n1\nhigh\n")
            .meta(json!({ "column": "height" }))
            .run::<MyRunner>();
        assert_eq!(
            run.result,
            Err(Error::InvalidInput(
                "line 3: \"high\" in height is no number".into()
            ))
        );
    }

    #[test]
    fn a_download_that_breaks_off_is_not_the_inputs_fault() {
        let broken = Error::Unavailable("the domain server answers 503".into());
        let run = Run::new()
            .input("points.csv", "height\n1\n2\n")
            .fail_input("points.csv", broken.clone())
            .meta(json!({ "column": "height" }))
            .run::<MyRunner>();
        assert_eq!(run.result, Err(broken));
    }
}
