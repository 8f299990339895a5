//! What is counted.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use posemesh_domain_data::multipart::{MultipartEvent, MultipartLimits, MultipartReader};
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_runner_api::runner::Runner as _;

use crate::plugins::setup::{load, smallest};
use crate::ports::call;

/// One of them.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What a count is for.
    pub(super) each: &'static str,
    /// How often it is done in the two runs; of the simulated one, how many virtual seconds a node works.
    pub(super) times: [u64; 2],
    /// Whether `posemesh-simulate` does it.
    pub(super) is_simulated: bool,
}

/// All of them.
pub(super) const CASES: [Case; 3] = [
    Case { name: CALL, each: "a call", times: [50, 250], is_simulated: false },
    Case { name: MULTIPART, each: "a body", times: [20, 120], is_simulated: false },
    Case {
        name: "a heartbeat of the control plane, in simulation",
        each: "a heartbeat",
        times: [7200, 36_000],
        is_simulated: true,
    },
];
const CALL: &str = "a call of the smallest component through the plugin host";
const MULTIPART: &str = "a multipart body of 20 parts";

/// Does it so often.
///
/// # Errors
/// If there is no such case, or it fails.
pub(super) async fn run(name: &str, times: u64) -> Result<()> {
    match name {
        CALL => calls(times).await,
        MULTIPART => multipart(times),
        _ => bail!("there is no case {name:?}"),
    }
}

/// In this process: another one would not be counted, and would compile for what the processor has and Valgrind lacks.
async fn calls(times: u64) -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let settings = LoaderSettings { cache: None, ..LoaderSettings::default() }.in_this_process();
    let loader = Loader::open(RunnerEngine::new().context("setting up wasmtime")?, settings).await?;
    let runner = load(&loader, &smallest(dir.path())?).await?;
    let capability = runner.description.capabilities.first().context("a capability")?;
    for _ in 0..times {
        runner.run(call(capability, 0, dir.path())).await?;
    }
    Ok(())
}

/// Parts of 4 KiB, in pieces of 16 KiB as from a socket.
fn multipart(times: u64) -> Result<()> {
    const PARTS: usize = 20;
    let mut body = Vec::new();
    for part in 0..PARTS {
        let head = format!(
            "--boundary\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; \
             name=\"part-{part}\"; data-type=\"bin\"; id=\"00000000-0000-0000-0000-{part:012}\"; \
             domain-id=\"00000000-0000-0000-0000-000000000001\"; size=\"4096\"; \
             created-at=\"2026-01-01T00:00:00Z\"; updated-at=\"2026-01-01T00:00:00Z\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&[7; 4096]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--boundary--\r\n");
    let body = Bytes::from(body);
    let limits = MultipartLimits { header_bytes: 16 << 10, part_bytes: 1 << 20, parts: 100 };
    for _ in 0..times {
        let mut reader = MultipartReader::new("boundary", limits);
        let (mut left, mut bytes) = (body.clone(), 0);
        while !left.is_empty() {
            reader.feed(left.split_to(left.len().min(16 << 10)));
            while let Some(event) = reader.next_event()? {
                if let MultipartEvent::Data(data) = event {
                    bytes += data.len();
                }
            }
        }
        reader.finish()?;
        ensure!(bytes == PARTS * 4096, "{bytes} bytes were read");
    }
    Ok(())
}
