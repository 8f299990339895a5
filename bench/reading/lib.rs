//! Reads its input.

use std::io::BufRead;

use posemesh_runner::{Requests, Result, Runner, Task};
use serde_json::{Value, json};

struct Reading;

impl Runner for Reading {
    const CAPABILITIES: &[&str] = &["/example/reading/v1"];
    type Params = Value;

    fn requests() -> Requests {
        Requests::new().memory_mib(64)
    }

    fn run(task: &Task, _: Value) -> Result<()> {
        let mut file = task.only_part()?;
        let mut bytes = 0;
        loop {
            let chunk = file.fill_buf()?.len();
            if chunk == 0 {
                break;
            }
            file.consume(chunk);
            bytes += chunk;
        }
        task.write_json("bytes.json", &json!({ "bytes": bytes }))?;
        Ok(())
    }
}

posemesh_runner::export!(Reading);
