//! The ports against a scripted domain server on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod auth;
mod download;
mod mock;
mod resume;
mod session;
mod upload;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Barrier, mpsc};
use tokio_util::sync::CancellationToken;

use self::mock::{Mock, Reply, Seen, ordinary};
use super::*;
use posemesh_net::secret::Secret;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, PartStream, PortError};

pub(super) const A: &str = "11111111-1111-4111-8111-111111111111";
pub(super) const B: &str = "22222222-2222-4222-8222-222222222222";
pub(super) const DOMAIN: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
pub(super) const TASK: &str = "99999999-9999-4999-8999-999999999999";

/// Settings with short waits.
pub(super) fn settings() -> StorageSettings {
    StorageSettings {
        client_id: "node-1".to_owned(),
        token_wait: Duration::from_millis(300),
        retry: RetryPolicy { attempts: 3, base: Duration::from_millis(2), ..RetryPolicy::default() },
        max_resumes: 2,
        ..StorageSettings::default()
    }
}

/// A task's ports to the mock, and the node's client under them.
pub(super) struct Bench {
    pub client: Arc<DomainClient>,
    pub token: Arc<TaskToken>,
    pub stop: CancellationToken,
    pub storage: TaskStorage,
    pub disk: TaskDisk,
    _dir: tempfile::TempDir,
}

pub(super) fn bench(address: SocketAddr, settings: StorageSettings) -> Bench {
    bench_with(address, settings, |_| ())
}

pub(super) fn bench_with(
    address: SocketAddr,
    settings: StorageSettings,
    change: impl FnOnce(&mut TaskDomain),
) -> Bench {
    let client = Arc::new(DomainClient::new(settings).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let disk = TaskDisk::new(dir.path());
    let mut lease = TaskDomain {
        base_url: format!("http://{address}/").parse().unwrap(),
        domain_id: DOMAIN.parse().unwrap(),
        token: Arc::new(TaskToken::new(Some(Secret::new("token-0")))),
        task_id: TASK.parse().unwrap(),
        outputs_prefix: Some("out".to_owned()),
        max_output_bytes: 1 << 30,
        disk: disk.clone(),
        stop: CancellationToken::new(),
    };
    change(&mut lease);
    let (token, stop) = (Arc::clone(&lease.token), lease.stop.clone());
    let storage = client.for_task(lease);
    Bench { client, token, stop, storage, disk, _dir: dir }
}

impl Bench {
    pub async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        self.storage.inputs.open(cid).await
    }

    /// All parts of an input: ids and bytes.
    pub async fn read_all(&self, cid: &str) -> Result<Vec<(String, Vec<u8>)>, PortError> {
        let mut stream = self.open(cid).await?;
        let mut parts = Vec::new();
        while let Some(info) = stream.next_part().await? {
            parts.push((info.data_id, read_part(stream.as_mut(), 1 << 20).await?));
        }
        Ok(parts)
    }

    /// Writes an artifact in pieces of this size.
    pub async fn put(&self, path: &str, bytes: &[u8], piece: usize) -> Result<Artifact, PortError> {
        let spec = ArtifactSpec { path: path.to_owned(), ..ArtifactSpec::default() };
        let mut writer = self.storage.outputs.create(spec).await?;
        for piece in bytes.chunks(piece) {
            writer.write(Bytes::copy_from_slice(piece)).await?;
        }
        writer.finish().await
    }
}

pub(super) async fn read_part(stream: &mut dyn PartStream, max: usize) -> Result<Vec<u8>, PortError> {
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

/// One part as the server writes it, with a line end but no closing boundary.
pub(super) fn part(id: &str, body: &[u8]) -> Vec<u8> {
    part_changed(id, body, "2026-01-02T03:04:05Z")
}

pub(super) fn part_changed(id: &str, body: &[u8], at: &str) -> Vec<u8> {
    let head = format!(
        "--B\r\nContent-Disposition: form-data; name=\"scan\"; data-type=\"ply\"; id=\"{id}\"; \
         domain-id=\"{DOMAIN}\"; size=\"{}\"; updated-at=\"{at}\"\r\nContent-Type: x/y\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body, b"\r\n"].concat()
}

pub(super) fn whole(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--B--\r\n".to_vec()].concat()
}

/// Bytes without a pattern that a mistake could hide in.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Waits for something that happens soon.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("expected within five seconds: {what}");
}
