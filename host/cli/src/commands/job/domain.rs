//! The domain that a job works on, reached as an application does: files go in, artifacts come out, each as a stream.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use posemesh_domain_client::{DomainClient, DomainPorts, DomainSettings, TaskDomain, TaskToken};
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::ArtifactSpec;
use posemesh_text::escaped;
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commands::job::server::{Network, persist};
use crate::commands::job::transfer::Transfer;

/// Bytes that are read of a file at a time.
const CHUNK: usize = 4 << 20;
/// Characters of a file's name that are kept for its name in the domain.
const MAX_NAME: usize = 100;

/// A domain that is open for a while.
pub(super) struct OpenDomain {
    client: DomainClient,
    pub(super) ports: DomainPorts,
    /// The names that were stored: the second of a name would replace the first.
    names: BTreeSet<String>,
    /// What waits to be sent and has no room in memory.
    _disk: TempDir,
}

impl OpenDomain {
    /// Asks for access and makes the ports. `stop` ends what waits.
    ///
    /// # Errors
    /// When DDS does not open the domain.
    pub(super) async fn open(network: &Network, domain_id: Uuid, stop: CancellationToken) -> Result<Self> {
        let opened = persist(|| network.open_domain(domain_id)).await?;
        let settings = DomainSettings {
            client_id: format!("posemesh-node-job/{}", Uuid::new_v4()),
            allow_plain_http: network.allow_plain_http(),
            ..DomainSettings::default()
        };
        let client = DomainClient::new(settings)?;
        if let Some(refusal) = client.refusal(&opened.domain_server.url) {
            return Err(anyhow!(
                "the domain server {}: {refusal}",
                escaped(opened.domain_server.url.as_str())
            ));
        }
        let disk = tempfile::tempdir().context("creating a folder for what waits to be sent")?;
        let ports = client.for_task(TaskDomain {
            base_url: opened.domain_server.url.clone(),
            domain_id,
            token: Arc::new(TaskToken::new(Some(opened.token()))),
            // Makes names of what is stored here unlike all others.
            task_id: Uuid::new_v4(),
            inputs_cids: Vec::new(),
            outputs_prefix: None,
            disk: TaskDisk::new(disk.path()),
            stop,
        });
        Ok(Self { client, ports, names: BTreeSet::new(), _disk: disk })
    }

    /// Stores a file, of any size, under this name or its own; its data id.
    ///
    /// # Errors
    /// When it can't be read or stored.
    pub(super) async fn store(&mut self, path: &Path, name: Option<&str>) -> Result<String> {
        let reading = || format!("reading {}", escaped(&path.display().to_string()));
        let mut file = File::open(path).await.with_context(reading)?;
        let size = file.metadata().await.with_context(reading)?.len();
        let name = self.unlike_others(plain_name(name.map_or(path, Path::new)));
        let spec = ArtifactSpec { path: name, size_hint: Some(size), ..ArtifactSpec::default() };
        let mut artifact = self.ports.outputs.create(spec).await?;
        let shown = Transfer::begin(format!("storing {}", escaped(&path.display().to_string())), size);
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await.with_context(reading)?;
            if chunk.is_empty() {
                break;
            }
            let bytes = chunk.len();
            artifact.write(Bytes::from(chunk)).await?;
            shown.moved(bytes);
        }
        let stored = artifact.finish().await?;
        shown.end(stored.size);
        stored.id.with_context(|| {
            format!("the domain server did not say under which id it stored {}", path.display())
        })
    }

    fn unlike_others(&mut self, name: String) -> String {
        let mut unlike = name.clone();
        let mut number = 1;
        while !self.names.insert(unlike.clone()) {
            number += 1;
            unlike = format!("{number}-{name}");
        }
        unlike
    }

    /// Waits until uploads that were broken off are aborted at the server.
    pub(super) async fn close(self) {
        let Self { client, ports, _disk, .. } = self;
        drop(ports);
        client.close().await;
    }
}

/// A file's name by the rules of domain servers, which accept few characters (protocol 6.8).
fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).take(MAX_NAME).collect();
    if name.trim_matches('.').is_empty() { "input".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_made_fit_for_a_domain_server() {
        for (path, name) in
            [("a/scan 1.ply", "scan_1.ply"), ("ü.json", "_.json"), ("/", "input"), ("x/..", "input")]
        {
            assert_eq!(plain_name(Path::new(path)), name, "{path}");
        }
        assert_eq!(plain_name(Path::new(&"n".repeat(300))).len(), MAX_NAME);
    }
}
