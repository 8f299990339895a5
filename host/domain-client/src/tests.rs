//! The ports against a scripted domain server on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ahead;
mod auth;
mod batches;
mod download;
mod multipart;
mod outage;
mod replace;
mod resume;
mod server;
mod simple;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use posemesh_http_mock::{MockServer, RecordedRequest, Reply};
use posemesh_net::secret::Secret;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, PartStream, PortError};
use serde_json::{Value, json};
use tokio::sync::{Barrier, mpsc};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::tests::server::{
    FORM, SHORTLY, broken, form, line, lines, most_parts_in_flight, ordinary, part, part_changed, whole,
};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const DOMAIN: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
const TASK: &str = "99999999-9999-4999-8999-999999999999";

/// Settings with short waits.
fn settings() -> DomainSettings {
    changed(DomainSettings::default(), |settings| {
        settings.client_id = "node-1".to_owned();
        settings.requests.token_wait = Duration::from_millis(300);
        settings.requests.retry.attempts = Some(3);
        settings.requests.retry.base = Duration::from_millis(2);
        settings.downloads.max_resumes = 2;
        settings.downloads.cut_patience = Duration::ZERO;
    })
}

fn changed(mut settings: DomainSettings, change: impl FnOnce(&mut DomainSettings)) -> DomainSettings {
    change(&mut settings);
    settings
}

/// A task's ports to the mock, and the node's client under them.
struct Bench {
    pub client: Arc<DomainClient>,
    pub token: Arc<TaskToken>,
    pub stop: CancellationToken,
    pub ports: DomainPorts,
    pub disk: TaskDisk,
    _dir: tempfile::TempDir,
}

fn bench(address: SocketAddr, settings: DomainSettings) -> Bench {
    bench_with(address, settings, |_| ())
}

fn bench_with(address: SocketAddr, settings: DomainSettings, change: impl FnOnce(&mut TaskDomain)) -> Bench {
    let client = Arc::new(DomainClient::new(settings).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let disk = TaskDisk::new(dir.path());
    let mut domain = TaskDomain {
        base_url: format!("http://{address}/").parse().unwrap(),
        domain_id: DOMAIN.parse().unwrap(),
        token: Arc::new(TaskToken::new(Some(Secret::new("token-0")))),
        task_id: TASK.parse().unwrap(),
        inputs_cids: Vec::new(),
        outputs_prefix: Some("out".to_owned()),
        disk: disk.clone(),
        stop: CancellationToken::new(),
    };
    change(&mut domain);
    let (token, stop) = (Arc::clone(&domain.token), domain.stop.clone());
    let ports = client.for_task(domain);
    Bench { client, token, stop, ports, disk, _dir: dir }
}

impl Bench {
    pub(crate) async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        self.ports.inputs.open(cid).await
    }

    /// All parts of an input: ids and bytes.
    pub(crate) async fn read_all(&self, cid: &str) -> Result<Vec<(String, Vec<u8>)>, PortError> {
        let mut stream = self.open(cid).await?;
        let mut parts = Vec::new();
        while let Some(info) = stream.next_part().await? {
            parts.push((info.data_id, read_part(stream.as_mut(), 1 << 20).await?));
        }
        Ok(parts)
    }

    /// Writes an artifact in pieces of this size.
    pub(crate) async fn put(&self, path: &str, bytes: &[u8], piece: usize) -> Result<Artifact, PortError> {
        let spec = ArtifactSpec { path: path.to_owned(), ..ArtifactSpec::default() };
        let mut writer = self.ports.outputs.create(spec).await?;
        for piece in bytes.chunks(piece) {
            writer.write(Bytes::copy_from_slice(piece)).await?;
        }
        writer.finish().await
    }
}

async fn read_part(stream: &mut dyn PartStream, max: usize) -> Result<Vec<u8>, PortError> {
    let mut all = Vec::new();
    loop {
        let bytes = stream.read(max).await?;
        assert!(bytes.len() <= max, "{} bytes were read where {max} were asked for", bytes.len());
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

/// Bytes without a pattern that a mistake could hide in.
fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Waits for something that happens soon.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("expected within five seconds: {what}");
}
