//! A runner of the contract 0.1.0: calls every function of the ports on the first input, then fails as `meta` says.
wit_bindgen::generate!({ path: "../../wit/released/0.1.0", world: "runner" });

use exports::posemesh::runner::entry::{Description, Guest, RunError, Task};
use posemesh::runner::types::{PortError, Requests};
use posemesh::runner::{control, inputs, outputs};

struct Older;

fn plain() -> outputs::ArtifactOptions {
    outputs::ArtifactOptions { name: None, data_type: None, existing_id: None, size_hint: None }
}

fn ports(cid: &str) -> Result<(), PortError> {
    let whole = inputs::read_all(cid, 1 << 20)?;
    let input = inputs::open(cid)?;
    let part = input.next_part()?.expect("a part");
    assert_eq!(part.info().size, whole.len() as u64);
    let (head, tail) = (part.read(3)?, part.read_at(3, 0)?);
    assert_eq!([head, tail].concat(), whole);
    let path = part.materialise()?;
    assert_eq!(inputs::materialise_all(cid)?.len(), 1);
    assert!(input.next_part()?.is_none());

    let kept = outputs::create("kept.bin", &plain())?;
    kept.write(&whole)?;
    let stored = kept.finish()?;
    assert_eq!(stored.size, whole.len() as u64);
    assert!(matches!(kept.finish(), Err(PortError::Invalid(_))));
    outputs::put_bytes("empty.bin", &[], &plain())?;
    outputs::put_file("file.bin", &path, &plain())?;
    outputs::create("../escape", &plain()).map(drop)
}

impl Guest for Older {
    fn describe() -> Description {
        Description {
            name: "older".into(),
            version: "0.1.0".into(),
            summary: "built against an older contract, for a test".into(),
            capabilities: vec!["/posemesh/test/older/v1".into()],
            requests: Requests {
                memory_bytes: Some(32 << 20),
                deadline_ms: None,
                cpu_time_ms: None,
                scratch_bytes: None,
                output_bytes: None,
                network_hosts: vec![],
                environment: vec![],
                directories: vec![],
            },
            meta_schema: None,
            homepage: None,
            license: None,
        }
    }

    fn run(task: Task) -> Result<(), RunError> {
        let Err(refused) = ports(&task.inputs_cids[0]) else {
            return Err(RunError::Failed("it escaped".into()));
        };
        assert!(control::get_budget().memory_bytes == 32 << 20);
        control::progress("{\"progress\": 1}").expect("a progress");
        assert!(matches!(control::log_event("{"), Err(control::ReportError::InvalidJson(_))));
        control::log(control::LogLevel::Info, "a line");
        assert!(!control::is_cancelled() && !control::wait_cancelled(1));
        match task.meta.trim_matches('"') {
            "port" => Err(RunError::Port(refused)),
            "input" => Err(RunError::InvalidInput("no scan".into())),
            "failed" => Err(RunError::Failed("for a test".into())),
            _ => Ok(()),
        }
    }
}

export!(Older);
