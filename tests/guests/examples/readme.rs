use std::io::BufRead;

use posemesh_runner::{Result, Runner, Task};

#[derive(serde::Deserialize)]
struct Params {
    #[serde(default)]
    skip_blank: bool,
}

struct Count;

impl Runner for Count {
    const CAPABILITIES: &[&str] = &["/example/count/v1"];
    type Params = Params;

    fn run(task: &Task, params: Params) -> Result<()> {
        let (mut bytes, mut lines) = (0, 0);
        for part in task.parts() {
            let mut part = part?;
            let (size, before) = (part.size() as f64, bytes);
            let mut line = Vec::new();
            while part.read_until(b'\n', &mut line)? > 0 {
                bytes += line.len();
                lines += usize::from(!(params.skip_blank && line.trim_ascii().is_empty()));
                line.clear();
                task.progress((bytes - before) as f64 / size, "counting")?;
            }
        }
        task.write_json("count.json", &serde_json::json!({ "bytes": bytes, "lines": lines }))?;
        Ok(())
    }
}

posemesh_runner::export!(Count);
